"""What a backup says of itself, sealed under the key ring of its store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from likeness.domain.audit import AuditMark
from likeness.domain.errors import Corrupt, NotFound, Unavailable
from likeness.domain.files import write_whole
from likeness.store.canonical import canonical_json
from likeness.store.vault import KeyRing, KeyUse

MANIFEST = "backup.json"
"""Written last: a folder without it is no backup."""

_FORMAT = 1
_MAX_BYTES = 1 << 20
_MAX_FILES = 1000
_CHUNK_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A file of a backup: its size in bytes and its SHA-256 in hexadecimal."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BackupManifest:
    """When a backup was made, by which release, of which state, and its files by their paths within it.

    `log` is the position of the last log entry, `audit` the last audit entry; `references` is how many there were,
    without those that were expunged; `keys` are the ids of the keys in the ring that it needs.
    """

    created: datetime
    release: str
    log: int
    audit: AuditMark
    references: int
    keys: tuple[str, ...]
    files: Mapping[str, BackedUp]

    def write(self, folder: Path, ring: KeyRing) -> None:
        """Seal it and put it into the folder of the backup, durably."""
        body = self._body()
        seal = ring.sealer(KeyUse.BACKUPS).sign(body.encode()).hex()
        document = json.dumps({"manifest": json.loads(body), "seal": seal}, indent=2)
        write_whole(folder / MANIFEST, document.encode("ascii"))

    @classmethod
    def read(cls, folder: Path, ring: KeyRing) -> BackupManifest:
        """What the backup in a folder says of itself.

        Raises:
            NotFound: there is none, or it was never finished.
            WrongKey: it was made with another key ring.
            Corrupt: it was changed, or a newer release made it.
        """
        path = folder / MANIFEST
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound(
                f"{folder} is no backup, or one that was never finished: it has no {MANIFEST}. Take one that "
                "`likeness backup` has reported as whole."
            ) from error
        except OSError as error:
            raise Unavailable(f"{path} cannot be read: {error.strerror}.") from error
        try:
            content = json.loads(data if len(data) <= _MAX_BYTES else b"")
            body, seal = canonical_json(content["manifest"]), bytes.fromhex(content["seal"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise _changed(path) from error
        if not ring.sealer(KeyUse.BACKUPS).matches(body.encode(), seal):
            raise _changed(path)
        return cls._parse(json.loads(body), path)

    def _body(self) -> str:
        return canonical_json(
            {
                "format": _FORMAT,
                "created": self.created.isoformat(timespec="seconds"),
                "release": self.release,
                "log": self.log,
                "audit": str(self.audit),
                "references": self.references,
                "keys": list(self.keys),
                "files": {
                    name: {"bytes": file.bytes, "sha256": file.sha256} for name, file in self.files.items()
                },
            }
        )

    @classmethod
    def _parse(cls, content: Mapping[str, Any], path: Path) -> BackupManifest:
        if content.get("format") != _FORMAT:
            raise Corrupt(
                f"{path} has format {content.get('format')!r}, this release reads {_FORMAT}; restore it with the "
                "release that made it, or a newer one."
            )
        try:
            files = {
                _inside(name): BackedUp(int(file["bytes"]), str(file["sha256"]))
                for name, file in content["files"].items()
            }
            return cls(
                datetime.fromisoformat(content["created"]),
                str(content["release"]),
                int(content["log"]),
                AuditMark.parse(content["audit"]),
                int(content["references"]),
                tuple(map(str, content["keys"])),
                files,
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _changed(path) from error


def files_below(folder: Path) -> dict[str, Path]:
    """The files of a backup, by their paths within it, but for its manifest."""
    found = {
        path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if not path.is_dir()
    }
    found.pop(MANIFEST, None)
    return found


def digest_of(path: Path) -> BackedUp:
    """The size and digest of a file as it is read from the disk.

    Raises:
        Unavailable: it cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}.") from error
    return BackedUp(size, digest.hexdigest())


def _inside(name: str) -> str:
    """A path that stays within the folder of the backup.

    Raises:
        ValueError: it does not.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.as_posix() != name:
        raise ValueError(name)
    return name


def _changed(path: Path) -> Corrupt:
    return Corrupt(f"{path} is not what `likeness backup` wrote: it was changed. Restore another backup.")
