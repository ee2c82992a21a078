"""Who asks and why, and which server is asked: the options of every command that speaks to a server."""

from __future__ import annotations

import getpass
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from likeness.cli.modality import DEFAULT, NAMES, parse_modality, words_of
from likeness.cli.option_checks import check_text, check_texts
from likeness.client.tls import Tls, Token
from likeness.domain.errors import InvalidInput
from likeness.domain.references import Purpose
from likeness.engine.entry import SampleWords
from likeness.v1 import common_pb2 as common

PANEL = "Server and caller"
DEFAULT_SERVER = "127.0.0.1:50051"
DEFAULT_TIMEOUT = 30.0
"""Seconds that one request may take, its retries included."""

_Command = TypeVar("_Command", bound=Callable[..., None])


def _option(*names: str, variable: str, about: str) -> Any:
    return typer.Option(*names, envvar=variable, help=about, rich_help_panel=PANEL, show_envvar=True)


MODALITY = Annotated[
    str,
    typer.Option(
        "--modality",
        "-m",
        parser=parse_modality,
        autocompletion=lambda: list(NAMES),
        metavar="|".join(NAMES),
        envvar="LIKENESS_MODALITY",
        help="What is enrolled, searched and compared.",
        show_envvar=True,
    ),
]
"""The option of every command that works on one modality."""

_OPTIONS: dict[str, tuple[Any, object]] = {
    "modality": (MODALITY, DEFAULT),
    "server": (
        Annotated[str, _option("--server", variable="LIKENESS_SERVER", about="The server, host:port.")],
        DEFAULT_SERVER,
    ),
    "entity": (
        Annotated[
            str,
            _option(
                "--entity",
                variable="LIKENESS_ENTITY",
                about="The requesting authority, for example NCB-FR. Needed.",
            ),
        ],
        "",
    ),
    "purpose": (
        Annotated[
            Purpose,
            _option(
                "--purpose",
                variable="LIKENESS_PURPOSE",
                about="Why you ask; needed for searches and comparisons.",
            ),
        ],
        Purpose.UNSPECIFIED,
    ),
    "case": (
        Annotated[str, _option("--case", variable="LIKENESS_CASE", about="The case that this belongs to.")],
        "",
    ),
    "operator": (
        Annotated[
            str,
            _option(
                "--operator",
                variable="LIKENESS_OPERATOR",
                about="Who you are at the authority, for the audit. Default: your login name.",
            ),
        ],
        "",
    ),
    "timeout": (
        Annotated[
            float,
            _option("--timeout", variable="LIKENESS_TIMEOUT", about="Seconds that one request may take."),
        ],
        DEFAULT_TIMEOUT,
    ),
    "authority": (
        Annotated[
            Path | None,
            _option(
                "--authority",
                variable="LIKENESS_AUTHORITY",
                about="Certificate of the authority that the server's must come from, PEM. With it, or with a "
                "certificate of your own, TLS is spoken.",
            ),
        ],
        None,
    ),
    "certificate": (
        Annotated[
            Path | None,
            _option(
                "--certificate",
                variable="LIKENESS_CERTIFICATE",
                about="Your own certificate, PEM; with --key.",
            ),
        ],
        None,
    ),
    "key": (
        Annotated[
            Path | None,
            _option("--key", variable="LIKENESS_KEY", about="The private key of your certificate, PEM."),
        ],
        None,
    ),
    "token_file": (
        Annotated[
            Path | None,
            _option(
                "--token-file",
                variable="LIKENESS_TOKEN_FILE",
                about="A file that holds your bearer token; read for each call.",
            ),
        ],
        None,
    ),
}


@dataclass(frozen=True, slots=True)
class Asking:
    """The server that is asked, and the caller that every request carries."""

    modality: str
    server: str
    entity: str
    purpose: Purpose
    case: str
    operator: str
    timeout: float
    tls: Tls | None = None
    token: Token = ""

    @property
    def words(self) -> SampleWords:
        """What the modality's samples are called, and which files hold them."""
        return words_of(self.modality)

    @property
    def context(self) -> common.CallerContext:
        """The caller as the protocol has it."""
        return common.CallerContext(
            entity=self.entity,
            purpose=common.Purpose.Value(f"PURPOSE_{self.purpose.name}"),
            case_reference=self.case,
            operator=self.operator,
        )


def asks(*, purpose: bool = False, modality: bool = True) -> Callable[[_Command], _Command]:
    """Give a command the options above; it receives them as one `asking: Asking`.

    Args:
        purpose: whether the command needs one; it is then asked for before anything is done.
        modality: whether the command is about one.

    Texts that could not be sent, or could steer a terminal, are refused first; see `check_texts`.
    """

    options = {name: option for name, option in _OPTIONS.items() if modality or name != "modality"}

    def decorate(command: _Command) -> _Command:
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.name != "asking"]
        shared = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for name, (annotation, default) in options.items()
        ]

        @wraps(command)
        def run(**values: Any) -> None:
            check_texts(values)
            given = {name: values.pop(name) for name in options}
            command(**values, asking=_checked(purpose, **given))

        run.__signature__ = signature.replace(parameters=[*own, *shared])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in (*own, *shared)}
        return run  # type: ignore[return-value]

    return decorate


def _checked(
    purpose_needed: bool,
    *,
    modality: str = DEFAULT,
    server: str,
    entity: str,
    purpose: Purpose,
    case: str,
    operator: str,
    timeout: float,
    authority: Path | None,
    certificate: Path | None,
    key: Path | None,
    token_file: Path | None,
) -> Asking:
    if not entity:
        raise InvalidInput(
            "Who asks? Give the requesting authority with --entity (for example --entity NCB-FR), or set "
            "LIKENESS_ENTITY once."
        )
    if purpose_needed and purpose is Purpose.UNSPECIFIED:
        known = ", ".join(p.value for p in Purpose if p is not Purpose.UNSPECIFIED)
        raise InvalidInput(
            f"Why do you ask? Give --purpose, or set LIKENESS_PURPOSE; it is put on record. One of: {known}."
        )
    if not operator:
        operator = _login()
        check_text(operator, "Your login name, which stands for --operator,")
    tls = Tls(authority, certificate, key) if authority or certificate or key else None
    token: Token = partial(_token, token_file) if token_file else ""
    return Asking(modality, server, entity, purpose, case, operator, timeout, tls, token)


def _token(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in some containers
        return ""
