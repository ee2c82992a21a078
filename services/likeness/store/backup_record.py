"""When a store was last backed up, noted in its home where the server that runs sees it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from likeness.domain.files import write_whole
from likeness.store.backup_manifest import BackupManifest
from likeness.store.places import BACKED_UP

_MAX_BYTES = 4096


def record_backup(home: Path, manifest: BackupManifest) -> None:
    """Note that a backup was made and read back.

    Raises:
        OSError: it cannot be written.
    """
    content = {"created": manifest.created.isoformat(), "log": manifest.log, "audit": str(manifest.audit)}
    write_whole(home / BACKED_UP, json.dumps(content).encode("ascii"))


def last_backup(home: Path) -> datetime | None:
    """When the last backup was made; None where none is on record, or the record cannot be read."""
    try:
        with (home / BACKED_UP).open("rb") as file:
            return datetime.fromisoformat(json.loads(file.read(_MAX_BYTES))["created"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
