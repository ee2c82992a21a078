"""How settings are named: `section.key` on the command line, `LIKENESS_SECTION_KEY` in the environment.

In the file a section is a table. Names from before there were sections go on to work.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from likeness.domain.errors import InvalidInput

PREFIX = "LIKENESS_"

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
        "LIKENESS_AUTHORITY",
        "LIKENESS_CERTIFICATE",
        "LIKENESS_KEY",
        "LIKENESS_TOKEN_FILE",
    }
)
"""Variables with our prefix that belong to other parts of the product."""

# Kubernetes hands every pod the addresses of the services of its namespace; one that is named likeness or
# likeness-x arrives as these
# (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
SERVICE_LINK = re.compile(r"LIKENESS_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)\w*)?)")

OLD_NAMES: Mapping[str, str] = {
    "address": "grpc.address",
    "workers": "grpc.workers",
    "bulk_workers": "grpc.bulk_workers",
    "queue": "grpc.queue",
    "max_streams": "grpc.max_streams",
    "stream_window": "grpc.stream_window",
    "stream_idle": "grpc.stream_idle",
    "max_message_bytes": "grpc.max_message_bytes",
    "max_metadata_bytes": "grpc.max_metadata_bytes",
    "max_arriving": "grpc.max_arriving",
    "message_seconds": "grpc.message_seconds",
    "max_connection_calls": "grpc.max_connection_calls",
    "max_sample_bytes": "grpc.max_sample_bytes",
    "max_bytes_in_flight": "grpc.max_bytes_in_flight",
    "max_answer_bytes": "grpc.max_answer_bytes",
    "max_k": "grpc.max_k",
    "max_page_size": "grpc.max_page_size",
    "default_deadline": "grpc.default_deadline",
    "max_deadline": "grpc.max_deadline",
    "drain_grace": "grpc.drain_grace",
    "metrics_address": "metrics.address",
    "log_level": "log.level",
    "key_ring": "store.key_ring",
    "reseal_old_keys": "store.reseal_old_keys",
    "keep_sources": "store.keep_sources",
    "expected_audit_head": "audit.expected_head",
    "audit_reserve_bytes": "audit.reserve_bytes",
    "snapshot_interval": "snapshot.interval",
    "max_pixels": "decoding.max_pixels",
    "max_bytes_decoding": "decoding.max_bytes",
    "detector": "face.detector",
    "recogniser": "face.recogniser",
    "calibration": "face.calibration",
    "assistant": "face.assistant",
    "fingerprint_calibration": "fingerprint.calibration",
    "object_calibration": "object.calibration",
}
"""A name from before there were sections, to the name that it has now."""


def fields(model: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """The name of every setting, such as `home` and `grpc.workers`, to its description and default."""
    found: dict[str, FieldInfo] = {}
    for name, field in model.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            found |= {f"{name}.{key}": value for key, value in section.model_fields.items()}
        else:
            found[name] = field
    return found


def variable_of(name: str) -> str:
    """The environment's variable of a setting: `LIKENESS_GRPC_WORKERS` of `grpc.workers`."""
    return PREFIX + name.replace(".", "_").upper()


class Names:
    """What may be written for the settings of a process.

    Args:
        model: the settings.
    """

    def __init__(self, model: type[BaseModel]) -> None:
        current = {name: name for name in fields(model)}
        self._names = {old: new for old, new in OLD_NAMES.items() if new in current} | current
        self.sections = frozenset(name.partition(".")[0] for name in current if "." in name)
        self._variables = {variable_of(written): name for written, name in self._names.items()}

    def of(self, written: str, origin: str) -> str:
        """The setting of a written name, old or new.

        Raises:
            InvalidInput: there is none.
        """
        if written not in self._names:
            raise _unknown(written, origin, self._names)
        return self._names[written]

    def of_variable(self, variable: str) -> str | None:
        """The setting of a variable of the environment; None where it is no setting's and rightly so.

        Raises:
            InvalidInput: it has our prefix and is unknown.
        """
        if not variable.startswith(PREFIX) or variable in OTHER_VARIABLES:
            return None
        if variable in self._variables:
            return self._variables[variable]
        if SERVICE_LINK.fullmatch(variable):
            return None
        near = {written: variable_of(name) for written, name in self._variables.items()}
        raise _unknown(variable, "the environment", near)


def _unknown(written: str, origin: str, known: Mapping[str, str]) -> InvalidInput:
    """`known`: whatever may be written, to how it is written best."""
    near = difflib.get_close_matches(written, known, n=1)
    hint = f"did you mean '{known[near[0]]}'?" if near else "`likeness config show` lists them all."
    return InvalidInput(
        f"'{written}' in {origin} is not a setting; {hint}", field=written, reason="UNKNOWN_SETTING"
    )
