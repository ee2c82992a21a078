"""`likeness keys`: the key ring that everything stored is sealed with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer
from rich.table import Table

from likeness.app.composition import key_file, snapshots_folder
from likeness.app.settings import Settings
from likeness.cli.acts import Operator, record_of_ring, this_user
from likeness.cli.commands import owner_exit, signing_key
from likeness.cli.confirming import confirm
from likeness.cli.failures import Commands, Exit, Stopped
from likeness.cli.key_states import Key, KeyState, key_states
from likeness.cli.local_store import has_store, read_only
from likeness.cli.options import AsJson
from likeness.cli.output import Output, heartbeat, note, plain_table, progress, warn
from likeness.cli.ring import check_begun, opened_alone
from likeness.cli.settings_options import KeyRingFile, configured
from likeness.cli.words import plural
from likeness.domain.audit import JsonValue
from likeness.domain.errors import Conflict, Precondition
from likeness.domain.operators import HostAct, entry_of
from likeness.engine.resealing import reseal_snapshots
from likeness.store.act_socket import check_operator
from likeness.store.choice import backend_of
from likeness.store.reseal import count_rows
from likeness.store.vault import KeyRing

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="The key ring: make it, rotate it, bring old data under the current key. No command shows a key.",
)


@app.command(
    epilog="Example: `likeness keys create --key-ring new-ring.json`; a server makes its own with the first start, "
    "so this is for one that is handed its ring, as in Kubernetes. Keep a copy apart from the data."
)
@configured()
def create(
    *,
    key_ring: KeyRingFile = None,
    as_json: AsJson = None,
    settings: Settings,
) -> None:
    """Make a key ring with one key, for its owner only. A file that exists is never overwritten."""
    path = key_file(settings)
    if key_ring is None and has_store(settings) and not path.exists():
        raise Conflict(
            f"The store in {settings.home} was written with another key ring, and {path} is missing: restore it "
            "from its backup. To make a ring for another store, name it with --key-ring."
        )
    ring = KeyRing.create(path)
    document = {"key_ring": str(path), "key_id": ring.active}
    shown = f"{path} made, with key {ring.active}; keep a copy apart from the data, which is lost without it"
    Output(as_json).answer(document, shown)


@app.command(
    "list",
    epilog="Example: `likeness keys list`; reads every reference's seals, while a server runs too. Entries of log "
    "and audit are in no count: they need no old key, since what opens them is sealed under the current one.",
)
@configured(ring=True)
def list_keys(
    *,
    as_json: AsJson = None,
    settings: Settings,
) -> None:
    """Show the keys by their ids: which is current, and what each still seals."""
    check_begun(settings)
    keys = _counted(settings)
    output = Output(as_json)
    if output.as_json:
        for key in keys:
            output.answer(_document(key), "")
    else:
        output.answer({}, _table(keys))
    _advise(keys)


@app.command(
    epilog="Example: `likeness keys rotate --key-ring new-ring.json`; a running server uses the new key after its "
    "next start, and then seals old data under it (setting store.reseal_old_keys)."
)
@configured()
def rotate(
    *,
    key_ring: KeyRingFile = None,
    operator: Operator = "",
    as_json: AsJson = None,
    settings: Settings,
) -> None:
    """Add a new key and make it the current one; the old ones stay, for what they sealed."""
    path = check_begun(settings)
    former = KeyRing.load(path).active
    record_of_ring(
        settings, HostAct.ROTATE_KEYS, operator, details={"key_ring": str(path), "former_key": former}
    )
    ring = KeyRing.rotate(path)
    document = {"key_ring": str(path), "key_id": ring.active, "keys": len(ring.ids)}
    Output(as_json).answer(document, f"{path}: the current key is now {ring.active}")
    note("renew the copy of the ring that you keep apart before a server starts with it")
    owner = None if key_ring is not None else backend_of(settings.home).holder()
    if owner is not None:
        note(f"process {owner} goes on with the ring that it has read; restart it to use the new key")


@app.command(
    epilog="Example: `likeness keys reseal`; needs the home for itself. A running server does the same in the "
    "background, unless store.reseal_old_keys is false: then stop it first."
)
@configured(ring=True)
def reseal(
    *,
    operator: Operator = "",
    as_json: AsJson = None,
    settings: Settings,
) -> None:
    """Seal under the current key what older keys sealed. Stop it at any time and run it again to go on.

    Log and audit stay as they are, entry by entry; no position changes.
    """
    if not has_store(settings):
        raise Precondition(
            f"There is no store at {settings.home}; name its folder with --home or LIKENESS_HOME."
        )
    check_operator(operator)
    with opened_alone(settings, _RESEALS) as store:
        store.audit(entry_of(HostAct.RESEAL, this_user(), operator, details={"key_id": store.active_key}))
        try:
            with progress("sealing", store.count_rows()) as step:
                report = store.reseal(step=lambda count: _steps(step, count))
            with heartbeat("sealing the snapshots of the index"):
                snapshots = reseal_snapshots(snapshots_folder(settings), store.snapshot_seal())
        except KeyboardInterrupt:
            note("interrupted; nothing is lost: run the same command again to go on")
            raise typer.Exit(Exit.INTERRUPTED) from None
    document = {
        "key_id": store.active_key,
        "references": report.references,
        "snapshots": snapshots,
        "problems": report.problems,
    }
    done = f"{plural(report.references, 'reference')} and {plural(snapshots, 'snapshot')}"
    Output(as_json).answer(document, f"{done} sealed under the current key")
    if report.problems:
        for problem in report.problems:
            warn(problem)
        raise Stopped(
            "What is damaged was left as it is, under its old key; see likeness doctor --full.", Exit.PARTLY
        )
    _advise(key_states(settings))


@app.command(
    epilog="Example: `likeness keys remove 0123456789abcdef --yes`; for a ring whose store is on another machine, "
    "give its file with --key-ring, and --unchecked once `likeness keys list` there says that it may go."
)
@configured(ring=True)
def remove(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `keys list` shows it.")],
    *,
    unchecked: Annotated[
        bool,
        typer.Option(
            "--unchecked", help="Do not look at a store: it is elsewhere, and you have looked there."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    operator: Operator = "",
    as_json: AsJson = None,
    settings: Settings,
) -> None:
    """Take an old key out of the ring; refused while the store has anything sealed with it.

    Backups made before the old key's data was resealed need it for as long as they exist: keep a copy of the
    ring with them, as it is now.
    """
    path = check_begun(settings)
    ring = KeyRing.load(path)
    if key_id in ring.ids - {ring.active}:  # or it is refused below
        if not unchecked:
            _check_idle(settings, key_id)
        warning = "backups from before its data was resealed need this key: keep a copy of the ring with them"
        confirm(f"Remove key {key_id}?", "remove a key", yes=yes, warning=warning)
        details: dict[str, JsonValue] = {"key_ring": str(path), "key_id": key_id}
        record_of_ring(settings, HostAct.REMOVE_KEY, operator, details=details)
    ring = KeyRing.remove(path, key_id)
    document = {"key_ring": str(path), "removed": key_id, "keys": len(ring.ids)}
    Output(as_json).answer(
        document, f"{path}: key {key_id} is removed; older copies of the ring still hold it"
    )


app.command(
    "export-public",
    epilog="Example: `likeness keys export-public --out hub.vkey`; give the line to every bureau with a witness, "
    "by a way on which nobody can change it.",
)(signing_key.export_public)
app.command(
    "replace-signing-key",
    epilog="Example: `likeness keys replace-signing-key --yes`; needs the home for itself.",
)(signing_key.replace_signing_key)
app.command(
    "erase-owner",
    epilog="Example: `likeness keys erase-owner NCB-XX --yes`; needs the home for itself. While a server runs, or "
    "for a ring whose store is on another machine, give --unchecked: the server expunges what the owner left when "
    "it starts with the changed ring.",
)(owner_exit.erase_owner)


def _check_idle(settings: Settings, key_id: str) -> None:
    if not has_store(settings):
        raise Precondition(
            f"There is no store at {settings.home} to see what key {key_id} seals; name its folder "
            "with --home, or give --unchecked if it is on another machine and `likeness keys list` there says that "
            "the key seals nothing more."
        )
    (key,) = (key for key in _counted(settings) if key.key_id == key_id)
    if key.state is KeyState.IN_USE:
        raise Conflict(
            f"Key {key_id} is still in use, for {_sealed(key)}. A server that has started with the current key "
            "reseals that (store.reseal_old_keys); or stop it and run `likeness keys reseal`."
        )


_RESEALS = (
    "A server seals old data under the current key by itself (setting store.reseal_old_keys, on unless set): "
    "restart it after a rotation, and see `likeness keys list` for how far it is. Or stop it and run this again."
)


def _steps(step: Callable[[str], None], count: int) -> None:
    for _ in range(count):
        step("")


def _counted(settings: Settings) -> list[Key]:
    """The keys with what each seals, with progress: a large store takes a while."""
    if not has_store(settings):
        return key_states(settings)
    with read_only(settings) as connection:
        total = count_rows(connection)
    with progress("looking at seals", total) as step:
        return key_states(settings, count=True, step=lambda count: _steps(step, count))


def _advise(keys: list[Key]) -> None:
    """What to do next, for the person."""
    for key in keys:
        if key.state is KeyState.UNUSED:
            note(f"key {key.key_id} is used with the next start of the server")
        if key.state is KeyState.IN_USE:
            note(f"key {key.key_id} is needed: a server reseals what it sealed, or `likeness keys reseal`")
        if key.state is KeyState.IDLE:
            note(
                f"key {key.key_id} seals nothing more; `likeness keys remove {key.key_id}` takes it out of the "
                "ring. Backups from before need it: keep a copy of the ring with them"
            )


def _document(key: Key) -> dict[str, object]:
    return {
        "key_id": key.key_id,
        "state": key.state.name.lower(),
        "current": key.state in {KeyState.CURRENT, KeyState.UNUSED},
        "created": key.created.isoformat() if key.created else "",
        "references": key.load.references,
        "bytes": key.load.bytes,
        "snapshots": key.snapshots,
        "removable": key.state is KeyState.IDLE,
    }


def _sealed(key: Key) -> str:
    return (
        f"{plural(key.load.references, 'reference')} ({plural(key.load.bytes, 'byte')}) and "
        f"{plural(key.snapshots, 'snapshot')}"
    )


def _table(keys: list[Key]) -> Table:
    numbers = ("References", "Bytes", "Snapshots")
    table = plain_table("Key", "State", "Created", *numbers, whole=("Key",), right=numbers)
    for key in keys:
        created = f"{key.created:%Y-%m-%d %H:%M} UTC" if key.created else "unknown"
        counts = (key.load.references, key.load.bytes, key.snapshots)
        table.add_row(key.key_id, key.state.value, created, *(f"{count:,}" for count in counts))
    return table
