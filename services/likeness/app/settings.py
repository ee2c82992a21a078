"""What an operator may set, where each value came from, and a clear refusal of what is not a setting.

Later sources win: defaults, then the TOML file, then `LIKENESS_*` variables, then the command line.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, PrivateAttr, ValidationError, create_model, field_validator

from likeness.app.access_section import AccessSettings
from likeness.app.identity_sections import TlsSettings, TokenSettings
from likeness.app.registry import ENTRIES, Entries
from likeness.app.sections import (
    AuditSettings,
    DecodingSettings,
    GrpcSettings,
    HealthSettings,
    LogSettings,
    MetricsSettings,
    QuotaSettings,
    SnapshotSettings,
    StoreSettings,
)
from likeness.app.setting_names import Names, fields, variable_of
from likeness.domain.errors import InvalidInput
from likeness.engine.entry import LoadedT, ModalityEntry, Section, SettingsT

FILE_NAME = "likeness.toml"


def default_home(environment: Mapping[str, str]) -> Path:
    """`$XDG_DATA_HOME/likeness`, else `~/.local/share/likeness`."""
    base = environment.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "likeness"


class Settings(Section):
    """The settings of one process. Immutable; `origins` says where each value came from.

    `settings_type` adds the sections of the modalities.
    """

    entries: ClassVar[Entries] = ()
    """The modalities that could be served."""

    home: Annotated[Path, AfterValidator(lambda path: path.expanduser())] = Field(
        default_factory=lambda: default_home(os.environ),
        description="Folder of everything that is stored: database, keys, snapshots, own models.",
    )
    modalities: str = Field(
        default="",
        description="What is served, separated by commas; each takes memory for its models and its index.",
    )
    threads: int = Field(
        default=0, ge=0, le=1024, description="Threads for inference; 0 plans them from the CPU quota."
    )
    grpc: GrpcSettings = GrpcSettings()
    tls: TlsSettings = TlsSettings()
    token: TokenSettings = TokenSettings()
    health: HealthSettings = HealthSettings()
    access: AccessSettings = AccessSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()
    store: StoreSettings = StoreSettings()
    audit: AuditSettings = AuditSettings()
    quotas: QuotaSettings = QuotaSettings()
    snapshot: SnapshotSettings = SnapshotSettings()
    decoding: DecodingSettings = DecodingSettings()

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @field_validator("modalities")
    @classmethod
    def _known(cls, value: str) -> str:
        known = [entry.name for entry in cls.entries]
        given = [name.strip() for name in value.split(",") if name.strip()]
        unknown = sorted(set(given) - set(known))
        if unknown or not given:
            wrong = f"'{unknown[0]}' is not a modality" if unknown else "nothing would be served"
            raise ValueError(f"{wrong}; name some of {', '.join(known)}")
        return ",".join(name for name in known if name in given)

    @property
    def served(self) -> Entries:
        """The modalities that are served, in the order of the registry."""
        names = self.modalities.split(",")
        return tuple(entry for entry in self.entries if entry.name in names)

    def of(self, entry: ModalityEntry[LoadedT, SettingsT]) -> SettingsT:
        """The section of a modality."""
        section: SettingsT = getattr(self, entry.name)
        return section

    @property
    def origins(self) -> Mapping[str, str]:
        """Where each value came from: `default`, the file's path, the variable's name or `command line`."""
        return {name: self._origins.get(name, "default") for name in fields(type(self))}

    @property
    def values(self) -> Mapping[str, Any]:
        """Every setting by its name, such as `grpc.workers`, as JSON has it."""
        document = self.model_dump(mode="json")
        parts = {name: name.split(".") for name in fields(type(self))}
        return {name: document[p[0]] if len(p) == 1 else document[p[0]][p[1]] for name, p in parts.items()}


@cache
def settings_type(entries: Entries = ENTRIES) -> type[Settings]:
    """The settings of a process that could serve these modalities: `Settings`, and a section for each."""
    sections: dict[str, Any] = {entry.name: (entry.settings, entry.settings()) for entry in entries}
    described = Settings.model_fields["modalities"].description
    default = ",".join(entry.name for entry in entries)
    made = create_model(
        "Settings",
        __base__=Settings,
        __doc__=Settings.__doc__,
        modalities=(str, Field(default=default, description=described)),
        **sections,
    )
    made.entries = entries
    return made


@dataclass(frozen=True, slots=True)
class _Assignment:
    """One value: where it came from, as what it was written there, and the setting that it is for."""

    origin: str
    written: str
    name: str
    value: Any


def load(
    file: Path | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    overrides: Mapping[str, Any] | None = None,
    entries: Entries = ENTRIES,
) -> Settings:
    """Read the settings.

    Args:
        file: the TOML file; None means `LIKENESS_CONFIG`, else `likeness.toml` in the home folder if there.
        environment: the variables.
        overrides: values from the command line, by name; None values count as not given.
        entries: the modalities that could be served.

    Raises:
        InvalidInput: a file that was named cannot be read, a key is unknown, a value is out of its range, or a
            source gives an old and a new name of one setting different values.
    """
    model = settings_type(entries)
    names = Names(model)
    sources = (
        _from_file(file, environment, names),
        _from_environment(environment, names),
        _from_command_line(overrides or {}, names),
    )
    given: dict[str, _Assignment] = {}
    for source in sources:
        given |= _by_name(source)
    values: dict[str, Any] = {"home": default_home(environment)}
    for one in given.values():
        section, _, key = one.name.rpartition(".")
        (values.setdefault(section, {}) if section else values)[key] = one.value
    origins = {name: one.origin for name, one in given.items()}
    try:
        settings = model(**values)
    except ValidationError as error:
        raise _refused(error, origins) from error
    settings._origins.update(origins)
    return settings


def _by_name(source: Iterator[_Assignment]) -> dict[str, _Assignment]:
    found: dict[str, _Assignment] = {}
    for one in source:
        other = found.setdefault(one.name, one)
        if str(other.value) != str(one.value):
            old = one if other.written in {one.name, variable_of(one.name)} else other
            raise InvalidInput(
                f"'{other.written}' and '{one.written}' are one setting, {one.name}, and have different values; "
                f"leave out {old.written}.",
                field=one.name,
                reason="SETTING_TWICE",
            )
    return found


def _from_file(file: Path | None, environment: Mapping[str, str], names: Names) -> Iterator[_Assignment]:
    path = _file(file, environment)
    if path is None:
        return
    for key, value in _read(path).items():
        is_section = key in names.sections and isinstance(value, dict)
        items = {f"{key}.{inner}": one for inner, one in value.items()} if is_section else {key: value}
        for written, one in items.items():
            yield _Assignment(str(path), written, names.of(written, str(path)), one)


def _file(file: Path | None, environment: Mapping[str, str]) -> Path | None:
    if file is not None:
        return file
    if chosen := environment.get("LIKENESS_CONFIG"):
        return Path(chosen)
    home = Path(environment.get("LIKENESS_HOME") or default_home(environment)).expanduser()
    path = home / FILE_NAME
    return path if path.is_file() else None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(
            f"The settings file {path} cannot be read ({error.strerror}); name another or leave it out."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The settings file {path} is not TOML: {error}.") from error


def _from_environment(environment: Mapping[str, str], names: Names) -> Iterator[_Assignment]:
    for variable in sorted(environment):
        name = names.of_variable(variable)
        if name is not None:
            yield _Assignment(variable, variable, name, environment[variable])


def _from_command_line(overrides: Mapping[str, Any], names: Names) -> Iterator[_Assignment]:
    for written, value in overrides.items():
        if value is not None:
            yield _Assignment("command line", written, names.of(written, "command line"), value)


def _refused(error: ValidationError, origins: Mapping[str, str]) -> InvalidInput:
    first = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"][:2])
    message = first["msg"].removeprefix("Value error, ")
    return InvalidInput(
        f"The setting '{name}' from {origins.get(name, 'default')} is {first['input']!r}: {message}.",
        field=name,
        reason="INVALID_SETTING",
    )
