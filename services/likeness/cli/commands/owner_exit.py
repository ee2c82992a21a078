"""`likeness keys erase-owner`: an owner leaves, and nothing of it opens any more, in backups neither."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from likeness.app.composition import signer, snapshots_folder
from likeness.app.settings import Settings
from likeness.cli.acts import Operator, has_ring_of_store, record_of_ring, this_user
from likeness.cli.confirming import confirm
from likeness.cli.local_store import has_store, read_only
from likeness.cli.option_checks import check_texts
from likeness.cli.options import AsJson
from likeness.cli.output import Output, heartbeat, note
from likeness.cli.ring import check_begun, opened_alone
from likeness.cli.settings_options import configured
from likeness.cli.words import plural
from likeness.domain.audit import JsonValue
from likeness.domain.errors import NotFound, Precondition
from likeness.domain.operators import HostAct, entry_of
from likeness.engine.resealing import reseal_snapshots
from likeness.store.act_socket import check_operator
from likeness.store.exits import OwnerExit, exit_entry, stored_owners
from likeness.store.store import Store
from likeness.store.vault import KeyRing
from likeness.transparency.receipt import Expunged, receipt_for

_FOLLOWS = (
    "Stop it and run this again; or give --unchecked, and restart it then: it expunges what the owner left as it "
    "starts with the changed ring."
)


@configured(ring=True)
def erase_owner(
    owner: Annotated[str, typer.Argument(metavar="OWNER", help="As its references name it.")],
    *,
    unchecked: Annotated[
        bool,
        typer.Option("--unchecked", help="Change the ring alone; its server follows with its next start."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    operator: Operator = "",
    as_json: AsJson = None,
    settings: Settings,
) -> None:
    """Let an owner leave: expunge all that it enrolled, and erase the key that sealed it, also in backups.

    The ring of afterwards opens nothing of that owner in any copy of the data. A copy of the ring from before does:
    destroy those.
    """
    check_texts({"owner": owner})
    check_operator(operator)
    path = check_begun(settings)
    if unchecked:
        _erase_alone(settings, path, owner, operator, yes=yes, as_json=as_json)
    else:
        _leave(settings, path, owner, operator, yes=yes, as_json=as_json)
    note("destroy the copies of the ring from before, and renew the one that you keep apart")
    for key_id in KeyRing.load(path).without_owners:
        note(
            f"key {key_id} has no keys for owners: backups that were made while it sealed stay readable until "
            "`likeness keys list` says that it seals nothing more and it is removed"
        )


def _erase_alone(
    settings: Settings, path: Path, owner: str, operator: str, *, yes: bool, as_json: bool | None
) -> None:
    """Erase an owner's keys in the ring, and leave the store to the server that has it."""
    document: dict[str, object] = {"key_ring": str(path), "owner": owner, "already_erased": False}
    if KeyRing.load(path).has_erased(owner):
        _answer_erased(document, owner, as_json)
        return
    if has_ring_of_store(settings):
        _check_known(settings, owner)
    _confirm_exit(owner, "what it enrolled", yes=yes)
    record_of_ring(settings, HostAct.ERASE_OWNER, operator, details={"owner": owner, "key_ring": str(path)})
    KeyRing.erase_owner(path, owner)
    Output(as_json).answer(document, f"{path}: the keys of {owner} are erased")
    note("the server expunges what the owner left when it starts with this ring")


def _leave(
    settings: Settings, path: Path, owner: str, operator: str, *, yes: bool, as_json: bool | None
) -> None:
    """Erase an owner's keys, and have the store follow as it is opened."""
    if not has_store(settings):
        raise Precondition(
            f"There is no store at {settings.home}; name its folder with --home, or give --unchecked if it is on "
            "another machine."
        )
    erased = KeyRing.load(path).has_erased(owner)
    if not erased:
        _check_known(settings, owner)
    # Refused before the ring is changed, if the store cannot be opened.
    with opened_alone(settings, _FOLLOWS) as store:
        done = _exit_of(store, owner)  # of an exit that was interrupted
        if not erased:
            held = store.count_of_owner(owner)
            _confirm_exit(owner, plural(held, "reference"), yes=yes)
            details: dict[str, JsonValue] = {"owner": owner, "references": held, "key_ring": str(path)}
            store.audit(entry_of(HostAct.ERASE_OWNER, this_user(), operator, details=details))
    if erased and done is None:
        _answer_erased({"owner": owner, "references": 0, "already_erased": True}, owner, as_json)
        return
    if not erased:
        KeyRing.erase_owner(path, owner)
    with opened_alone(settings, _FOLLOWS) as store:
        if not erased:
            done = _exit_of(store, owner)
        done = done or _nothing_left(store, owner)
        with heartbeat("removing the snapshots of the index"):
            reseal_snapshots(snapshots_folder(settings), store.snapshot_seal())
        key = signer(settings, store)
    receipt = receipt_for(key, Expunged.OWNER, owner, done.log_position, datetime.now(UTC))
    document = {
        "owner": owner,
        "references": done.references,
        "already_erased": False,
        "log_position": done.log_position,
        "audit_position": done.audit.position,
        "audit_digest": done.audit.digest.hex(),
        "receipt": receipt,
    }
    Output(as_json).answer(
        document,
        f"{owner} has left: {plural(done.references, 'reference')} expunged up to log position "
        f"{done.log_position}, its keys erased; audit entry {done.audit.position}\n\n{receipt}",
    )


def _exit_of(store: Store, owner: str) -> OwnerExit | None:
    return next((found for found in store.exits if found.owner == owner), None)


def _nothing_left(store: Store, owner: str) -> OwnerExit:
    """The exit of an owner whose references were all expunged before."""
    position = store.head()
    return OwnerExit(owner, 0, position, store.audit(exit_entry(owner, 0, position)))


def _answer_erased(document: dict[str, object], owner: str, as_json: bool | None) -> None:
    done = {**document, "already_erased": True}
    Output(as_json).answer(done, f"the keys of {owner} were erased before; nothing was changed")


def _check_known(settings: Settings, owner: str) -> None:
    """Whether the store has ever had anything of an owner: its key cannot be given back.

    Raises:
        NotFound: it has not; names those that are written nearly so.
    """
    with read_only(settings) as connection:
        known = list(stored_owners(connection))
    if owner in known:
        return
    near = difflib.get_close_matches(owner, known, n=3)
    remedy = f"Did you mean {' or '.join(near)}?" if near else "Check its name."
    raise NotFound(
        f"The store in {settings.home} has never had a reference of an owner {owner}; nothing was erased. {remedy}"
    )


def _confirm_exit(owner: str, what: str, *, yes: bool) -> None:
    confirm(f"Erase {what} of {owner} for good, in backups too?", "erase an owner's keys", yes=yes)
