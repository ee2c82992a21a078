"""When a store was last backed up, noted in its home where the server that runs sees it."""

from __future__ import annotations

import json
import os
import tempfile
from datetime import datetime
from pathlib import Path

from likeness.store.backup_manifest import BackupManifest
from likeness.store.places import BACKED_UP
from likeness.store.vault import sync_directory

_MAX_BYTES = 4096


def record_backup(home: Path, manifest: BackupManifest) -> None:
    """Note that a backup was made and read back.

    Raises:
        OSError: it cannot be written.
    """
    content = {"created": manifest.created.isoformat(), "log": manifest.log, "audit": str(manifest.audit)}
    descriptor, name = tempfile.mkstemp(prefix=f".{BACKED_UP}.", dir=home)  # mode 0600
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(home / BACKED_UP)
    finally:
        partial.unlink(missing_ok=True)
    sync_directory(home)


def last_backup(home: Path) -> datetime | None:
    """When the last backup was made; None where none is on record, or the record cannot be read."""
    try:
        with (home / BACKED_UP).open("rb") as file:
            return datetime.fromisoformat(json.loads(file.read(_MAX_BYTES))["created"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
