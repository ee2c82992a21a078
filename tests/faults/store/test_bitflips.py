"""One flipped bit in any stored file: refused, or harmless; never another answer.

Two images of one store are damaged: as it lies after closing, and as a crash leaves it, with its changes still
in the write-ahead log.
"""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from likeness.domain.audit import AuditEntry
from likeness.domain.changes import LogEntry, Write
from likeness.domain.errors import LikenessError
from likeness.domain.references import Category, Status
from likeness.domain.storage import ListFilter
from likeness.store.store import Store
from tests.unit.store.writes import act, enrol, expunge, open_store, update

FLIPS = 8 * int(os.environ.get("LIKENESS_FAULT_ROUNDS", "8"))
REFERENCES = 25
EARLY = 15
"""Writes before the last opening; an expunge empties the write-ahead log, which is to be full of the others."""

NAMES = [f"r{i}" for i in range(REFERENCES)]

Read = Callable[[Store], object]


def writes() -> list[Write]:
    """Enrolments with every kind of part, updates and expunges; the latter among the first `EARLY`."""
    enrolments = [
        enrol(
            i,
            reference_id=f"r{i}",
            request_id=f"request-{i}",
            owner="DE" if i % 3 else "FR",
            galleries=frozenset({"wanted", "missing"} if i % 2 else {"wanted"}),
            category=Category.VICTIM if i % 5 == 0 else Category.SUSPECT,
            modality="object" if i % 7 == 0 else "face",
            source=bytes([i]) * (20_000 if i % 6 == 0 else 50) if i % 2 else None,
        )
        for i in range(REFERENCES)
    ]
    changes = [update(enrolments[i].change.reference) for i in (2, 3)]  # type: ignore[union-attr]
    return [*enrolments[:12], *(expunge(f"r{i}") for i in (4, 6, 11)), *enrolments[12:], *changes]


def entry(found: LogEntry) -> tuple[object, ...]:
    """What an entry says, in a form that can be compared."""
    template = None if found.template is None else found.template.to_bytes()
    return (found.position, found.kind, found.modality, found.reference_id, found.at, found.facets, template)


def listed(store: Store, wanted: ListFilter) -> list[object]:
    """Everything that a List shows, over several pages."""
    found: list[object] = []
    token = ""
    while True:
        page = store.list(wanted, token, 7)
        found += page.references
        token = page.next_token
        if not token:
            return found


def reads() -> dict[str, Read]:
    """Every way to read the store; each must be right or refuse, whatever the others do."""
    filters = {
        "all": ListFilter(statuses=frozenset(Status)),
        "owner": ListFilter(owners=frozenset({"FR"})),
        "gallery": ListFilter(galleries=frozenset({"missing"})),
        "category": ListFilter(categories=frozenset({Category.VICTIM})),
        "modality": ListFilter(modality="object"),
        "expunged": ListFilter(statuses=frozenset({Status.EXPUNGED})),
    }
    ways: dict[str, Read] = {
        "head": lambda store: (store.head(), store.audit_head()),
        "tail": lambda store: [entry(e) for e in store.tail(0)],
        "late tail": lambda store: [entry(e) for e in store.tail(20)],
        "count": lambda store: [store.count("face"), store.count("", Status.EXPUNGED)],
        "acts": lambda store: store.audit_entries(),
        "probe": lambda store: store.probe_digest(b"probe"),
        "chain": lambda store: store.verify_audit() if store.verify_audit().ok else refused(),
        "replays": lambda store: [receipt for receipt in store.write(REPLAYS) if raised(receipt)],
    }
    for name, wanted in filters.items():
        ways[f"list {name}"] = lambda store, wanted=wanted: listed(store, wanted)  # type: ignore[misc]
    for name in NAMES:
        ways[f"get {name}"] = lambda store, name=name: store.get(name)  # type: ignore[misc]
        ways[f"source {name}"] = lambda store, name=name: store.source(name)  # type: ignore[misc]
        ways[f"template {name}"] = lambda store, name=name: {  # type: ignore[misc]
            key: template.to_bytes() for key, template in store.templates([name]).items()
        }
    for name in ("r4", "r6", "r11"):
        ways[f"reason {name}"] = lambda store, name=name: store.expunge_reason(name)  # type: ignore[misc]
    return ways


def raised(receipt: object) -> bool:
    """True for a receipt; raises what stands in its place."""
    if isinstance(receipt, LikenessError):
        raise receipt
    return True


def refused() -> object:
    """What a report of damage amounts to."""
    raise LikenessError("the chain is broken")


WRITES = writes()
REPLAYS = WRITES[:5]
READS = reads()
ACTS: list[AuditEntry] = [act(i) for i in range(12)]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Path], dict[str, object]]]:
    """The two images and what every read answers on them."""
    live, crashed, closed = (tmp_path_factory.mktemp(name) for name in ("live", "crashed", "closed"))
    with open_store(live) as store:
        store.write(WRITES[:EARLY])
    with open_store(live) as store:
        for write in WRITES[EARLY:]:
            store.write([write])
        for one in ACTS:
            store.audit(one)
        store.write(REPLAYS)
        expected = {name: read(store) for name, read in READS.items()}
        shutil.copytree(live, crashed, dirs_exist_ok=True)
    shutil.copytree(live, closed, dirs_exist_ok=True)
    assert (crashed / "data" / "likeness.db-wal").stat().st_size > 100_000
    assert not (closed / "data" / "likeness.db-wal").exists()
    yield {"closed": closed, "crashed": crashed}, expected


def flip(path: Path, bit: int) -> None:
    """Flip one bit of a file."""
    with path.open("r+b") as file:
        file.seek(bit // 8)
        (byte,) = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def outcome(folder: Path, expected: dict[str, object]) -> tuple[int, list[str]]:
    """How many reads were refused, and which gave another answer."""
    try:
        store = open_store(folder)
    except LikenessError:
        return len(READS), []
    refusals, wrong = 0, []
    with store:
        for name, read in READS.items():
            try:
                answer = read(store)
            except LikenessError:
                refusals += 1
                continue
            if answer != expected[name]:
                wrong.append(name)
    return refusals, wrong


@pytest.mark.parametrize("image", ["closed", "crashed"])
def test_an_undamaged_image_answers_everything(
    tmp_path: Path, images: tuple[dict[str, Path], dict[str, object]], image: str
) -> None:
    folders, expected = images
    shutil.copytree(folders[image], tmp_path, dirs_exist_ok=True)
    assert outcome(tmp_path, expected) == (0, [])


@pytest.mark.parametrize("image", ["closed", "crashed"])
def test_a_flipped_bit_is_noticed_or_harmless(
    tmp_path: Path, images: tuple[dict[str, Path], dict[str, object]], image: str
) -> None:
    folders, expected = images
    rng = random.Random(f"{image} {FLIPS}")
    noticed = 0
    for number in range(FLIPS):
        folder = tmp_path / "copy"
        shutil.copytree(folders[image], folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
        path = files[number % len(files)]
        bit = rng.randrange(path.stat().st_size * 8)
        flip(path, bit)
        refusals, wrong = outcome(folder, expected)
        assert not wrong, f"bit {bit} of {path.name} changed the answers of {wrong}"
        noticed += refusals > 0
        shutil.rmtree(folder)
    assert noticed > FLIPS / 10
