"""`likeness backup` and `likeness restore`: a copy of the store that was read back, and a store from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from likeness import __version__
from likeness.app.composition import expected_head, key_file, signing_file, snapshots_folder
from likeness.app.settings import Settings
from likeness.cli.acts import Operator, put_on_record, this_user
from likeness.cli.failures import Exit, Stopped
from likeness.cli.local_store import has_store, is_of_older_release
from likeness.cli.options import AsJson
from likeness.cli.output import Output, heartbeat, note, warn
from likeness.cli.settings_options import configured
from likeness.cli.suspensions_backed_up import (
    cut_off_again,
    only_on_record,
    suspensions_file,
    to_back_up,
)
from likeness.cli.words import plural
from likeness.domain.audit import JsonValue
from likeness.domain.operators import HostAct, entry_of
from likeness.index.snapshot import files_up_to
from likeness.store.act_socket import check_operator
from likeness.store.backup import make_backup
from likeness.store.backup_manifest import BackupManifest
from likeness.store.backup_record import record_backup
from likeness.store.choice import backend_of
from likeness.store.places import SNAPSHOTS
from likeness.store.restore import expunge_again, expunged_since, restore_backup
from likeness.store.store import Store
from likeness.store.vault import KeyRing


@configured(ring=True)
def backup(
    target: Annotated[Path, typer.Argument(metavar="TO", help="The folder to make; it must not exist.")],
    *,
    operator: Operator = "",
    as_json: AsJson = None,
    settings: Settings,
) -> None:
    """Back the store up, while a server runs or not, and read the backup back before it counts.

    It is encrypted as the store is, and has neither the key ring nor the signing key in it.
    """
    ring = KeyRing.load(key_file(settings))
    suspensions = to_back_up(settings)
    if has_store(settings):
        _record_backup_act(settings, target, operator)
    doing = "copying the database"

    def step(done: int, total: int) -> None:
        nonlocal doing
        doing = (
            f"copying the database, {done / max(1, total):.0%}" if done < total else "reading the backup back"
        )

    with heartbeat(lambda: doing):
        manifest = make_backup(
            backend_of,
            settings.home,
            target,
            ring,
            release=__version__,
            others=lambda position: {**_snapshots(settings, position), **suspensions},
            step=step,
        )
    try:
        record_backup(settings.home, manifest)
    except OSError as error:
        warn(
            f"the backup is whole, but {settings.home} takes no record of when it was made: {error.strerror}"
        )
    Output(as_json).answer(
        {"backup": str(target), **_document(manifest)},
        f"{target}: {plural(manifest.references, 'reference')} up to log position {manifest.log} and audit entry "
        f"{manifest.audit.position}, read back and whole",
    )
    note(
        f"not in it: the key ring {key_file(settings)} and the signing key {signing_file(settings)}. Keep copies "
        "of them where no backup reaches: without the ring nobody reads the data, and with both anybody does"
    )


@configured(ring=True)
def restore(
    source: Annotated[Path, typer.Argument(metavar="FROM", help="A folder that `likeness backup` made.")],
    *,
    since: Annotated[
        Path | None,
        typer.Option(
            help="A home of the same store, such as the one that was moved away: what was expunged there after the "
            "backup is expunged again, and whom its suspended.json has is cut off.",
            show_default=False,
        ),
    ] = None,
    expunged: Annotated[
        Path | None,
        typer.Option(
            help="A file of references to expunge again, an identifier a line, or as `likeness list --json` and "
            "`likeness expunge --json` print them.",
            show_default=False,
        ),
    ] = None,
    operator: Operator = "",
    as_json: AsJson = None,
    settings: Settings,
) -> None:
    """Restore a backup into a home without a store. It is checked first, and restored whole or not at all.

    What belongs to owners that have left since is expunged: the ring says who.
    """
    ring = KeyRing.load(key_file(settings))
    listed = _listed(expunged) if expunged else []
    check_operator(operator)
    counts = {"expunged_again": 0, "of_owners_gone": 0}
    cut_off: Sequence[str] = ()

    def finish(staging: Path, manifest: BackupManifest) -> None:
        nonlocal cut_off
        cut_off = cut_off_again(settings, staging, since)
        gone = list(listed)
        if since is not None:
            gone += expunged_since(backend_of, since, manifest, ring, expected_head(settings))
        with Store.open(staging, key_file=key_file(settings)) as store:
            counts["of_owners_gone"] = sum(done.references for done in store.exits)
            details: dict[str, JsonValue] = {
                "backup": str(source),
                "made": manifest.created.isoformat(),
                "to_expunge_again": len(gone),
            }
            store.audit(entry_of(HostAct.RESTORE, this_user(), operator, details=details))
            counts["expunged_again"] = expunge_again(store, gone)

    with heartbeat("checking and restoring"):
        manifest = restore_backup(backend_of, source, settings.home, ring, finish)
    missed = only_on_record(settings, since or settings.home)
    suspensions = {"cut_off_again": cut_off, "cut_off_on_record_only": missed}
    document = {"home": str(settings.home), **_document(manifest), **counts, **suspensions}
    Output(as_json).answer(document, _restored(settings, manifest, counts))
    note(
        f"what was done after {manifest.created:%Y-%m-%d %H:%M} UTC is missing: changes and audit entries alike"
    )
    _tell_of_suspensions(settings, cut_off, missed)
    if since is None and expunged is None:
        note(
            "what was expunged since, by others than owners who left, is there again: expunge it, or give --since"
        )
    if settings.audit.expected_head:
        note("audit.expected_head may name a later entry: set it to the end of this chain, or to nothing")


def _record_backup_act(settings: Settings, target: Path, operator: str) -> None:
    """Put a backup on record that is about to be made.

    Raises what `put_on_record` raises. A store that is not upgraded yet takes no entries, and is to be backed up.
    """
    if is_of_older_release(settings):
        note("not on record: the store was written by an older release")
        return
    put_on_record(settings, HostAct.BACKUP, operator, details={"folder": str(target)})


def _document(manifest: BackupManifest) -> dict[str, object]:
    return {
        "created": manifest.created.isoformat(),
        "log_position": manifest.log,
        "audit": str(manifest.audit),
        "references": manifest.references,
        "bytes": sum(file.bytes for file in manifest.files.values()),
        "keys": list(manifest.keys),
    }


def _restored(settings: Settings, manifest: BackupManifest, counts: Mapping[str, int]) -> str:
    age = (datetime.now(UTC) - manifest.created).total_seconds() / 3600
    return (
        f"{settings.home}: {plural(manifest.references, 'reference')} as of {age:.1f} hours ago, up to log "
        f"position {manifest.log} and audit entry {manifest.audit.position}; {counts['of_owners_gone']} of owners "
        f"that have left and {counts['expunged_again']} others were expunged again"
    )


def _tell_of_suspensions(settings: Settings, cut_off: Sequence[str], missed: Sequence[str]) -> None:
    path = suspensions_file(settings)
    if cut_off:
        note(
            f"cut off again, in {path}: {', '.join(cut_off)}; resume those that were let in after the backup"
        )
    if cut_off and settings.access.directory is None:
        warn(f"access.directory is not set: see that the service reads {path}, or nobody is cut off")
    if missed:
        warn(
            f"cut off by the audit and not by {path}: {', '.join(missed)}; run `likeness policy suspend` for each "
            "before the service starts"
        )


def _snapshots(settings: Settings, position: int) -> dict[str, Path]:
    """The newest snapshot of each index that is not ahead of a log position, by where it stands in a backup."""
    folder = snapshots_folder(settings)
    return {
        f"{SNAPSHOTS}/{index.name}/{path.name}": path
        for index in (sorted(folder.iterdir()) if folder.is_dir() else ())
        if index.is_dir()
        for path in files_up_to(index, position)
    }


def _listed(path: Path) -> list[str]:
    """The references in a file.

    Raises:
        Stopped: it cannot be read, or a line is none.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Stopped(f"--expunged: {path} cannot be read: {error}.", Exit.USAGE) from None
    found = []
    for number, line in enumerate(map(str.strip, lines), start=1):
        try:
            if line:
                found.append(str(json.loads(line)["reference_id"]) if line.startswith("{") else line)
        except (ValueError, KeyError) as error:
            raise Stopped(f"--expunged: line {number} of {path} names no reference.", Exit.USAGE) from error
    return found
