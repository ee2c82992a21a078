"""What an operator may set, where each value came from, and a clear refusal of what is not a setting.

Later sources win: defaults, then the TOML file, then `LIKENESS_*` variables, then the command line. A setting
`name` is the key `name` in the file and the variable `LIKENESS_NAME`.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
)

from likeness.domain.audit import AuditMark
from likeness.domain.errors import InvalidInput
from likeness.domain.text import named, unprintable_at

PREFIX = "LIKENESS_"
FILE_NAME = "likeness.toml"

OTHER_VARIABLES = frozenset(
    {
        "LIKENESS_CONFIG",  # the settings file
        "LIKENESS_MODELS",  # the folder of the shipped manifests
        "LIKENESS_CACHE",  # built and fetched models
        "LIKENESS_REVISION",  # what the image was built from
        "LIKENESS_STATE",  # journals of the command line
        "LIKENESS_SERVER",  # the server and the caller of the command line's client
        "LIKENESS_ENTITY",
        "LIKENESS_MODALITY",
        "LIKENESS_PURPOSE",
        "LIKENESS_CASE",
        "LIKENESS_OPERATOR",
        "LIKENESS_TIMEOUT",
    }
)
"""Variables with our prefix that belong to other parts of the product."""

# Kubernetes hands every pod the addresses of the services of its namespace; one that is named likeness or
# likeness-x arrives as these
# (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
_SERVICE_LINK = re.compile(r"LIKENESS_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)\w*)?)")

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]]+):(\d{1,5})")

_MIB = 1 << 20

MODALITIES = ("face", "fingerprint", "object")
"""What can be served."""


def split_address(address: str) -> tuple[str, int]:
    """The host and the port of `host:port` or `[ipv6]:port`.

    Raises:
        ValueError: it is neither.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match[2]) > 65535:
        raise ValueError(f"'{address}' is not host:port, for example 127.0.0.1:50051 or [::]:50051")
    return match[1].strip("[]"), int(match[2])


def _address(value: str) -> str:
    split_address(value)
    return value


def _address_or_off(value: str) -> str:
    return _address(value) if value else value


def _modalities(value: str) -> str:
    named = [name.strip() for name in value.split(",") if name.strip()]
    unknown = sorted(set(named) - set(MODALITIES))
    if unknown or not named:
        wrong = f"'{unknown[0]}' is not a modality" if unknown else "nothing would be served"
        raise ValueError(f"{wrong}; name some of {', '.join(MODALITIES)}")
    return ",".join(name for name in MODALITIES if name in named)


def _mark_or_none(value: str) -> str:
    return str(AuditMark.parse(value)) if value else value


def default_home(environment: Mapping[str, str]) -> Path:
    """`$XDG_DATA_HOME/likeness`, else `~/.local/share/likeness`."""
    base = environment.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "likeness"


class Settings(BaseModel):
    """The settings of one service. Immutable; `origins` says where each value came from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Annotated[Path, AfterValidator(lambda path: path.expanduser())] = Field(
        default_factory=lambda: default_home(os.environ),
        description="Folder of everything that is stored: database, keys, snapshots, own models.",
    )
    address: Annotated[str, AfterValidator(_address)] = Field(
        default="127.0.0.1:50051",
        description="Where gRPC listens. Transport is not encrypted: beyond this machine, put TLS before it.",
    )
    metrics_address: Annotated[str, AfterValidator(_address_or_off)] = Field(
        default="127.0.0.1:9464", description="Where /metrics listens; empty turns it off."
    )
    key_ring: Path | None = Field(
        default=None,
        description="The key ring file; unset means the one in the home folder, made on first run.",
    )
    expected_audit_head: Annotated[str, AfterValidator(_mark_or_none)] = Field(
        default="",
        description="POSITION:DIGEST of an audit entry noted earlier (`likeness audit verify` prints the last one, "
        "and the log has it now and then); a store whose audit does not hold it is not served.",
    )
    audit_reserve_bytes: int = Field(
        default=64 * _MIB,
        ge=0,
        le=1 << 40,
        description="Bytes of disk held for the day on which it is full: searches go on record and references are "
        "expunged in them, and nothing is enrolled until there is space again; 0 holds none.",
    )
    reseal_old_keys: bool = Field(
        default=True,
        description="After a rotation of keys, seal under the new key what older ones sealed: in the background, "
        "with at most a fifth of the time of one thread, going on after a restart.",
    )
    modalities: Annotated[str, AfterValidator(_modalities)] = Field(
        default=",".join(MODALITIES),
        description="What is served, separated by commas; each takes memory for its models and its index.",
    )
    detector: str = Field(default="face-detect-mtcnn", description="Id of the face detector's manifest.")
    recogniser: str = Field(
        default="face-embed-dlib-resnet29", description="Id of the face recogniser's manifest."
    )
    calibration: Path | None = Field(
        default=None,
        description="Calibration file of faces; unset means the one that belongs to the recogniser.",
    )
    fingerprint_calibration: Path | None = Field(
        default=None, description="Calibration file of fingerprints; unset means the one shipped."
    )
    object_calibration: Path | None = Field(
        default=None, description="Calibration file of objects; unset means the one shipped."
    )
    keep_sources: bool = Field(
        default=False,
        description="Keep enrolled photographs, encrypted, for explanations and for new models.",
    )
    threads: int = Field(
        default=0, ge=0, le=1024, description="Threads for inference; 0 plans them from the CPU quota."
    )
    assistant: bool = Field(
        default=True,
        description="Whether a second process takes a part of the photographs of faces, where there are two CPUs: "
        "more requests a second from a few callers, for a second copy of the models in memory.",
    )
    workers: int = Field(
        default=32,
        ge=1,
        le=1024,
        description="Requests worked on at once. More than threads: most of them wait to fill a batch.",
    )
    bulk_workers: int = Field(
        default=8,
        ge=1,
        le=1024,
        description="Of the workers, how many the items of streams may hold; the rest answer single requests.",
    )
    queue: int = Field(
        default=96, ge=0, le=65536, description="Requests that may wait for a worker; the next is refused."
    )
    max_streams: int = Field(default=16, ge=1, le=4096, description="Enrolment streams open at once.")
    stream_window: int = Field(
        default=32, ge=1, le=4096, description="Items of one stream taken in and not yet answered."
    )
    stream_idle: float = Field(
        default=120.0,
        gt=0,
        le=86400,
        description="Seconds that an enrolment stream may send nothing while nothing of it is worked on, and "
        "within which its client must have read an outcome.",
    )
    max_message_bytes: int = Field(
        default=68 * _MIB,
        ge=64 << 10,
        le=1 << 30,
        description="Bytes of one request; a comparison carries two samples.",
    )
    max_metadata_bytes: int = Field(
        default=512 << 10,
        ge=64 << 10,
        le=64 * _MIB,
        description="Bytes of one request apart from its samples: names, texts, filters.",
    )
    max_arriving: int = Field(
        default=128,
        ge=1,
        le=65536,
        description="Calls at once of which the request has not arrived yet. What has arrived of each is in "
        "memory, up to max_message_bytes.",
    )
    message_seconds: float = Field(
        default=20.0,
        gt=0,
        le=3600,
        description="Seconds within which the request of a call must have arrived, and its client have read an "
        "answer of a search with progress.",
    )
    max_connection_calls: int = Field(
        default=64, ge=1, le=65536, description="Calls at once over one connection; further ones wait there."
    )
    max_sample_bytes: int = Field(
        default=32 * _MIB, ge=1 << 10, le=1 << 30, description="Bytes of one sample."
    )
    max_bytes_in_flight: int = Field(
        default=512 * _MIB, ge=1 * _MIB, description="Bytes of all requests being worked on or waiting."
    )
    max_pixels: int = Field(
        default=52_000_000,
        ge=10_000,
        le=1 << 30,
        description="Width times height of one image, before decoding; phones of 50 megapixels take 50,331,648.",
    )
    max_bytes_decoding: int = Field(
        default=1024 * _MIB,
        ge=128 * _MIB,
        description="Bytes that all images being decoded or looked at take together, those of the second process "
        "too; an image that finds none free waits, one that needs more than there are is refused.",
    )
    max_answer_bytes: int = Field(
        default=4 * _MIB,
        ge=256 << 10,
        le=64 * _MIB,
        description="Bytes of one answer; gRPC clients take 4 MiB unless set otherwise. Pages end earlier, "
        "low ranks are abridged, and what is still too large is refused.",
    )
    max_k: int = Field(default=1000, ge=1, le=1000, description="Candidates that one search may ask for.")
    max_page_size: int = Field(default=1000, ge=1, le=1000, description="References in one page of a list.")
    default_deadline: float = Field(
        default=30.0, gt=0, le=3600, description="Seconds that a request without a deadline may take."
    )
    max_deadline: float = Field(
        default=120.0,
        gt=0,
        le=3600,
        description="Seconds that any request may take; longer ones are cut to it.",
    )
    snapshot_interval: float = Field(
        default=300.0, ge=1, description="Seconds between snapshots of the index."
    )
    drain_grace: float = Field(
        default=25.0, ge=0, description="Seconds for running requests to finish when the service is stopped."
    )
    log_level: str = Field(
        default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level that is logged."
    )

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @field_validator("*")
    @classmethod
    def _printable(cls, value: Any) -> Any:
        """Paths too: SQLite takes no name that is not UTF-8, and every one is printed and logged."""
        at = unprintable_at(str(value)) if isinstance(value, str | Path) else None
        if at is not None:
            raise ValueError(
                f"it holds {named(str(value)[at])} at position {at + 1}; give plain text in UTF-8"
            )
        return value

    @property
    def served(self) -> tuple[str, ...]:
        """The modalities that are served, in the order of `MODALITIES`."""
        return tuple(self.modalities.split(","))

    @property
    def origins(self) -> Mapping[str, str]:
        """Where each value came from: `default`, the file's path, the variable's name or `command line`."""
        return {name: self._origins.get(name, "default") for name in type(self).model_fields}


def load(
    file: Path | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Read the settings.

    Args:
        file: the TOML file; None means `LIKENESS_CONFIG`, else `likeness.toml` in the home folder if there.
        environment: the variables.
        overrides: values from the command line; None values count as not given.

    Raises:
        InvalidInput: a file that was named cannot be read, a key is unknown, or a value is out of its range.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, name, value in _given(file, environment, overrides or {}):
        values[name], origins[name] = value, origin
    values.setdefault("home", default_home(environment))
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise _refused(error, origins) from error
    settings._origins.update(origins)
    return settings


def _given(
    file: Path | None, environment: Mapping[str, str], overrides: Mapping[str, Any]
) -> list[tuple[str, str, Any]]:
    given = [(str(path), name, value) for path, name, value in _from_file(file, environment)]
    given += [(variable, name, environment[variable]) for variable, name in _variables(environment)]
    given += [("command line", name, value) for name, value in overrides.items() if value is not None]
    for origin, name, _ in given:
        if name not in Settings.model_fields:
            raise _unknown(name, origin, list(Settings.model_fields))
    return given


def _from_file(file: Path | None, environment: Mapping[str, str]) -> list[tuple[Path, str, Any]]:
    path = file or (Path(named) if (named := environment.get("LIKENESS_CONFIG")) else None)
    if path is None:
        home = Path(environment.get("LIKENESS_HOME") or default_home(environment)).expanduser()
        path = home / FILE_NAME
        if not path.is_file():
            return []
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(
            f"The settings file {path} cannot be read ({error.strerror}); name another or leave it out."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The settings file {path} is not TOML: {error}.") from error
    return [(path, name, value) for name, value in content.items()]


def _variables(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    found = []
    for variable in sorted(environment):
        if not variable.startswith(PREFIX) or variable in OTHER_VARIABLES:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in Settings.model_fields and not _SERVICE_LINK.fullmatch(variable):
            known = [PREFIX + field.upper() for field in Settings.model_fields]
            raise _unknown(variable, "the environment", known)
        if name in Settings.model_fields:
            found.append((variable, name))
    return found


def _unknown(name: str, origin: str, known: list[str]) -> InvalidInput:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else "`likeness config show` lists them all."
    return InvalidInput(
        f"'{name}' in {origin} is not a setting; {hint}", field=name, reason="UNKNOWN_SETTING"
    )


def _refused(error: ValidationError, origins: Mapping[str, str]) -> InvalidInput:
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    message = first["msg"].removeprefix("Value error, ")
    return InvalidInput(
        f"The setting '{name}' from {origins.get(name, 'default')} is {first['input']!r}: {message}.",
        field=name,
        reason="INVALID_SETTING",
    )
