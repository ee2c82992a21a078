"""What `likeness doctor` looks at in the home folder: whether it is the newest there was, and whose it is."""

from __future__ import annotations

import shlex

from likeness.app.composition import expected_head, key_file, signing_file
from likeness.app.settings import Settings
from likeness.cli.doctor_checks import Result, green, red, yellow
from likeness.cli.local_store import has_store, read_only, seals, signer
from likeness.cli.suspensions_backed_up import only_on_record, suspensions_file
from likeness.domain.errors import Corrupt
from likeness.index.snapshot import furthest
from likeness.store.chain import LOG
from likeness.store.choice import backend_of
from likeness.store.inspection import check_expected, check_heads, check_keys
from likeness.store.modes import exposed
from likeness.store.opening import check_not_emptied
from likeness.store.places import SNAPSHOTS, WITNESS
from likeness.store.signer_record import signer_on_record
from likeness.store.witness import Witness


def history(settings: Settings) -> Result:
    """Database, witness, snapshots and the expected audit entry belong to one history, and nothing is cut off.

    Raises:
        LikenessError: they do not.
    """
    check_not_emptied(backend_of(settings.home))
    if not has_store(settings):
        return green("history", "none yet")
    expected = expected_head(settings)
    # First what follows the database, then the database: while a server writes it may only be ahead.
    folders = sorted((settings.home / SNAPSHOTS).glob("*/"))
    snapshots = {folder.name: furthest(folder) for folder in folders}
    opened = seals(settings)
    with read_only(settings) as connection:
        check_keys(connection, opened)  # a ring of another store says nothing about the history
        check_heads(connection, Witness(settings.home / WITNESS, opened.witness), expected)
        if expected is not None:
            check_expected(connection, expected)
        end = LOG.head(connection).position
    ahead = {name: position for name, position in snapshots.items() if position > end}
    if ahead:
        name, position = next(iter(ahead.items()))
        raise Corrupt(
            f"The snapshot of the {name} index is at log position {position}, but the log ends at {end}: the "
            "database is an older copy, or was cut off. Restore its newest backup; if this is it, restored on "
            f"purpose, remove the folder {settings.home / SNAPSHOTS}."
        )
    noted = "holds the audit entry that is expected" if expected else "no audit entry is expected"
    return green("history", f"the database is as far as its witness and its snapshots; {noted}")


def signing(settings: Settings) -> Result:
    """The key that the audit's checkpoints are signed with is the one by which witnesses know it."""
    path = signing_file(settings)
    if not path.exists() and not _signer_known(settings):
        return green("signing key", f"{path} will be made with the first start")
    return green("signing key", f"{path} is that of {signer(settings).name}; keep a backup")


def _signer_known(settings: Settings) -> bool:
    if not has_store(settings):
        return False
    with read_only(settings) as connection:
        return bool(signer_on_record(connection))


def privacy(settings: Settings) -> Result:
    """Home, database, keys and snapshots are their owner's alone."""
    found = exposed(settings.home, key_file(settings), signing_file(settings))
    if not found:
        return green("privacy", "home, database, snapshots and keys are open to their owner alone")
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    worst = sorted(found, key=lambda item: not item.grave)
    fix = f"run: chmod go= {' '.join(shlex.quote(str(item.path)) for item in found)}"
    message = f"open to others than the owner: {worst[0]}{more}"
    return red("privacy", message, fix) if worst[0].grave else yellow("privacy", message, fix)


def reserve(settings: Settings) -> Result:
    """The space is held in which audit and erasure go on when the disk is full."""
    size = settings.audit.reserve_bytes
    held = f"{size / (1 << 20):,.0f} MiB for audit and erasure"
    if not size:
        return yellow(
            "reserve", "none is held: a full disk stops searches and Expunge", "set audit.reserve_bytes"
        )
    if not has_store(settings):
        return green("reserve", f"{held} will be held with the first start")
    space = backend_of(settings.home).reserve(size)
    if space.is_spent:
        return red(
            "reserve",
            f"{held} should be held and are not: the disk was full, or no server has been started since they were "
            "asked for; a server that runs enrols nothing",
            f"have {space.room / (1 << 20):,.0f} MiB free on the disk of {settings.home}; a server that runs then "
            "holds them within seconds",
        )
    return green("reserve", f"{held} are held")


def suspensions(settings: Settings) -> Result:
    """Whoever is cut off by the audit is by the file of suspensions too, which a restore or a slip may have lost.

    Raises:
        LikenessError: one of the two is damaged.
        OSError: the file cannot be read.
    """
    name = "suspensions"
    missed = only_on_record(settings, settings.home) if has_store(settings) else ()
    path = suspensions_file(settings)
    if missed:
        return yellow(
            name,
            f"cut off by the audit and not by {path}: {', '.join(missed)}",
            "run `likeness policy suspend ENTITY` for each that is to stay out; where one was let in by changing "
            "the file, suspend and resume it, which puts that on record",
        )
    return green(name, f"{path} has everybody whom the audit has cut off")
