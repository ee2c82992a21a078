"""The files that the rules are written in, read together and known by one digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from likeness.access.directory import MAX_BYTES
from likeness.domain.errors import InvalidInput

MAX_POLICY_BYTES = 1 << 20
"""Of one file of policies."""
MAX_POLICY_FILES = 256

SHIPPED = "default.cedar"
"""The name of the policies that ship."""


def shipped(name: str) -> str:
    """The text of a file that ships with this package."""
    return resources.files("likeness.access").joinpath(name).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Contents:
    """What stood in the files at one time.

    Args:
        schema: that ships.
        policies: the texts, by the names of their files.
        directory: its bytes.
        suspensions: their bytes; empty where there is no file.
    """

    schema: str
    policies: Mapping[str, str]
    directory: bytes
    suspensions: bytes

    @property
    def digest(self) -> str:
        """SHA-256 over all of it, hexadecimal."""
        digest = hashlib.sha256()
        parts = [self.schema.encode(), self.directory, self.suspensions]
        for name, text in self.policies.items():
            parts += [name.encode(), text.encode()]
        for part in parts:
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the rules are.

    Args:
        directory: the file of who there is.
        policies: a file, or a folder of which every `*.cedar` counts; None means those that ship.
        suspensions: the file of entities that are cut off; it need not exist.
    """

    directory: Path
    policies: Path | None
    suspensions: Path

    def read(self) -> Contents:
        """What stands in the files now.

        Raises:
            InvalidInput: a file cannot be read, is too large, or there are no policies.
        """
        texts = {path.name: _text(path) for path in self._policy_files()} or {SHIPPED: shipped(SHIPPED)}
        return Contents(
            shipped("schema.cedarschema"), texts, _content(self.directory), self.read_suspensions()
        )

    def read_suspensions(self) -> bytes:
        """What stands in the file of entities that are cut off; empty where there is none.

        Raises:
            InvalidInput: it cannot be read.
        """
        return _content(self.suspensions) if self.suspensions.exists() else b""

    def _policy_files(self) -> Iterator[Path]:
        if self.policies is None:
            return
        if not self.policies.is_dir():
            yield self.policies
            return
        files = sorted(self.policies.glob("*.cedar"))
        if not files or len(files) > MAX_POLICY_FILES:
            raise InvalidInput(
                f"The folder of policies {self.policies} has {len(files)} files *.cedar; there must be 1 to "
                f"{MAX_POLICY_FILES}.",
                reason="POLICY_INVALID",
            )
        yield from files


def _text(path: Path) -> str:
    content = _content(path)
    if len(content) > MAX_POLICY_BYTES:
        raise InvalidInput(
            f"The policies {path} have {len(content):,} bytes; the limit is {MAX_POLICY_BYTES:,}. Split the file.",
            reason="POLICY_INVALID",
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"The policies {path} are not UTF-8; write them so.", reason="POLICY_INVALID"
        ) from error


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read ({error.strerror}); correct the setting under [access], or the file's rights.",
            reason="ACCESS_FILE_UNREADABLE",
        ) from error
