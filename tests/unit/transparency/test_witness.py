"""A witness: what it cosigns, what it remembers, and what it finds."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from likeness.domain.errors import (
    Conflict,
    Corrupt,
    InvalidInput,
    LikenessError,
    NotFound,
    Precondition,
    Stale,
)
from likeness.transparency import witness as files
from likeness.transparency.checkpoint import Checkpoint, check_cosigned, open_checkpoint
from likeness.transparency.merkle import consistency_proof
from likeness.transparency.note import (
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    Algorithm,
    Note,
    Signature,
    Signer,
    sign,
)
from likeness.transparency.proof import Growth
from likeness.transparency.witness import Witness
from tests.unit.transparency.logs import Act, Log, act, hub

AT = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


def witness_of(log: Log) -> Witness:
    return Witness.new("police.example/witness", log.signer.verifier)


def grown(log: Log, entries: int) -> Log:
    other = log.rewritten(log.acts)
    for _ in range(entries):
        other.add(act(other.size))
    return other


def test_it_follows_a_log_that_grows_and_cosigns_each_checkpoint() -> None:
    log = hub(0)
    witness = witness_of(log)
    for size in (0, 0, 1, 4, 4, 7, 13):
        log = grown(log, size - log.size)
        witness = witness.follow(log.growth(witness.seen.size), AT)
        assert witness.seen == Checkpoint(log.signer.name, size, log.root())
        assert witness.cosigned is not None
        assert check_cosigned(witness.cosigned, witness.signer.verifier) == AT
        open_checkpoint(witness.cosigned, log.signer.verifier)


def test_a_proof_from_elsewhere_is_asked_for_again() -> None:
    witness = witness_of(hub(3))
    log = hub(3)
    witness = replace(witness, log=log.signer.verifier).follow(log.growth(0), AT)
    later = grown(log, 3)
    with pytest.raises(Stale, match="--since 3"):
        witness.follow(later.growth(2), AT)
    with pytest.raises(Stale):
        witness.follow(Growth(0, later.checkpoint()), AT)


def test_another_log_is_not_followed() -> None:
    log, other = hub(3), hub(3)
    with pytest.raises(Corrupt, match="not signed by"):
        witness_of(log).follow(other.growth(0), AT)


def test_only_the_key_of_a_log_is_watched() -> None:
    with pytest.raises(InvalidInput):
        Witness.new("w", Signer.generate("other", Algorithm.COSIGNATURE).verifier)


def test_its_file_is_its_owners_and_is_never_overwritten(tmp_path: Path) -> None:
    log, path = hub(3), tmp_path / "hub.witness"
    made = files.create(path, "police.example/witness", log.signer.verifier)
    assert path.stat().st_mode & 0o777 == 0o600
    assert files.load(path) == made
    with pytest.raises(Conflict):
        files.create(path, "other", log.signer.verifier)
    updated = files.update(path, log.growth(0), AT)
    assert files.load(path) == updated
    assert updated.seen.size == 3
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["hub.witness"]


def test_a_log_with_another_key_goes_on_from_what_was_seen(tmp_path: Path) -> None:
    log, path = hub(3), tmp_path / "hub.witness"
    files.create(path, "police.example/witness", log.signer.verifier)
    files.update(path, log.growth(0), AT)
    later = grown(log, 2)
    later.signer = Signer.generate("hub.example/another")
    changed = files.change_key(path, later.signer.verifier)
    assert files.load(path) == changed
    assert changed.seen == Checkpoint(log.signer.name, 3, log.root())
    forked = log.rewritten([*log.acts[:2], act(7), act(8)])
    forked.signer = later.signer
    with pytest.raises(Corrupt):
        files.update(path, forked.growth(3), AT)
    with pytest.raises(Corrupt):
        files.update(path, grown(log, 2).growth(3), AT)  # by the former key
    updated = files.update(path, later.growth(3), AT)
    assert files.load(path) == updated
    assert (updated.seen.origin, updated.seen.size, updated.former) == ("hub.example/another", 5, None)


def test_a_key_that_is_taken_back_leaves_the_witness_as_it_was(tmp_path: Path) -> None:
    log, path = hub(3), tmp_path / "hub.witness"
    files.create(path, "police.example/witness", log.signer.verifier)
    before = files.update(path, log.growth(0), AT)
    for _ in range(2):
        files.change_key(path, Signer.generate("hub.example/another").verifier)
    assert files.change_key(path, log.signer.verifier) == before
    with pytest.raises(InvalidInput):
        files.change_key(path, Signer.generate("other", Algorithm.COSIGNATURE).verifier)


def test_what_is_refused_is_not_remembered(tmp_path: Path) -> None:
    log, path = hub(3), tmp_path / "hub.witness"
    files.create(path, "police.example/witness", log.signer.verifier)
    files.update(path, log.growth(0), AT)
    before = path.read_bytes()
    with pytest.raises(Corrupt):
        files.update(path, log.rewritten(log.acts[:2]).growth(0), AT)
    assert path.read_bytes() == before


def test_what_others_signed_is_not_in_its_file(tmp_path: Path) -> None:
    log, path = hub(3), tmp_path / "hub.witness"
    files.create(path, "police.example/witness", log.signer.verifier)
    (own,) = log.checkpoint().signatures
    others = [
        Signature(f"other.example/{number}", b"0000", bytes(64)) for number in range(MAX_SIGNATURES - 1)
    ]
    note = Note(log.checkpoint().text, (own, *others))
    files.update(path, Growth(0, note), AT)
    cosigned = files.load(path).cosigned
    assert cosigned is not None
    assert len(cosigned.signatures) == 2


def test_a_checkpoint_that_could_not_be_read_again_is_refused(tmp_path: Path) -> None:
    log, path = hub(3), tmp_path / "hub.witness"
    files.create(path, "police.example/witness", log.signer.verifier)
    before = path.read_bytes()
    text = f"{log.checkpoint().text}{'x' * (MAX_NOTE_BYTES - 300)}\n"
    with pytest.raises(InvalidInput, match="too long"):
        files.update(path, Growth(0, sign(text, log.signer)), AT)
    assert path.read_bytes() == before


def test_of_updates_at_once_none_takes_another_back(tmp_path: Path) -> None:
    log, path = hub(12), tmp_path / "hub.witness"
    files.create(path, "police.example/witness", log.signer.verifier)
    steps = [Growth(0, log.checkpoint(size)) for size in range(1, 13)]

    def attempt(growth: Growth) -> int:
        try:
            return files.update(path, growth, AT).seen.size
        except LikenessError:
            return 0

    with ThreadPoolExecutor(6) as pool:
        sizes = list(pool.map(attempt, steps))
    assert files.load(path).seen.size == max(sizes) > 0
    assert sum(size > 0 for size in sizes) == 1


def test_files_that_are_missing_changed_or_open_to_others_are_refused(tmp_path: Path) -> None:
    log, path = hub(3), tmp_path / "hub.witness"
    with pytest.raises(NotFound, match="witness init"):
        files.load(path)
    with pytest.raises(NotFound, match="witness init"):
        files.update(tmp_path / "no" / "w", log.growth(0), AT)
    files.create(path, "police.example/witness", log.signer.verifier)
    files.update(path, log.growth(0), AT)
    whole = path.read_bytes()
    for changed in (b"", b"{}", b"[" * 100_000, whole[:-40], whole.replace(b"\\n3\\n", b"\\n2\\n"), b"\xff"):
        path.write_bytes(changed)
        with pytest.raises(Corrupt, match=r"hub\.witness"):
            files.load(path)
    path.write_bytes(whole)
    path.chmod(0o644)
    with pytest.raises(Precondition, match="chmod 600"):
        files.load(path)


SEEN = 9
LOG = hub(14)
"""The honest log; the witness has seen its first entries."""

Tamper = Callable[[random.Random], list[Act]]


def changed(rng: random.Random) -> list[Act]:
    acts, at = list(LOG.acts), rng.randrange(SEEN)
    one = acts[at]
    acts[at] = (
        Act(one.minute + 1, one.body) if rng.random() < 0.3 else Act(one.minute, secrets.token_bytes(20))
    )
    return acts


def removed(rng: random.Random) -> list[Act]:
    acts = list(LOG.acts)
    for _ in range(rng.randint(1, 3)):
        del acts[rng.randrange(SEEN)]
    return acts


def reordered(rng: random.Random) -> list[Act]:
    acts, at, other = list(LOG.acts), rng.randrange(SEEN), rng.randrange(LOG.size)
    while other == at:
        other = rng.randrange(LOG.size)
    acts[at], acts[other] = acts[other], acts[at]
    return acts


def inserted(rng: random.Random) -> list[Act]:
    acts = list(LOG.acts)
    acts.insert(rng.randrange(SEEN), Act(rng.randrange(100), secrets.token_bytes(20)))
    return acts


def forked(rng: random.Random) -> list[Act]:
    """Cut off before what was seen, and grown again with other entries."""
    common = rng.randrange(SEEN)
    return [*LOG.acts[:common], *(Act(i, secrets.token_bytes(20)) for i in range(rng.randint(1, 14)))]


def rolled_back(rng: random.Random) -> list[Act]:
    """An older copy of everything."""
    return list(LOG.acts[: rng.randrange(SEEN)])


TAMPERINGS: list[Tamper] = [changed, removed, reordered, inserted, forked, rolled_back]
PER_KIND = 1_700
"""Of six kinds: more than 10,000."""


def forged(log: Log, rng: random.Random) -> Growth:
    """The best that somebody can state who has every key of the hub: own or invented hashes, own or old roots."""
    size, root, tree, hashes = log.size, log.root(), log, None
    match rng.randrange(6):
        case 0:
            tree = LOG
        case 1:
            hashes = tuple(secrets.token_bytes(32) for _ in range(rng.randint(0, 6)))
        case 2:
            size, root, tree = max(size, SEEN + 1), LOG.root(SEEN), LOG
        case 3:
            size = SEEN
        case 4:
            size = SEEN + rng.randint(1, 9)
    note = Checkpoint(log.signer.name, size, root).signed(log.signer)
    if hashes is None:
        end = min(size, tree.size)
        hashes = tuple(consistency_proof(min(SEEN, end), end, tree.read))
    return Growth(SEEN, note, hashes)


@pytest.mark.parametrize("tamper", TAMPERINGS)
def test_every_tampering_is_found_by_a_witness_that_holds_one_checkpoint(tamper: Tamper) -> None:
    """The chain, the tree and the signature are made anew by somebody who has every key but the witness's."""
    rng = random.Random(20)
    witness = witness_of(LOG).follow(Growth(0, LOG.checkpoint(SEEN)), AT)
    missed = []
    for number in range(PER_KIND):
        log = LOG.rewritten(tamper(rng))
        try:
            witness.follow(forged(log, rng), AT)
        except Corrupt:
            continue
        missed.append((number, log.acts))
    assert missed == []


def test_an_honest_log_is_taken_whatever_it_grows_by() -> None:
    """So that the test above can fail."""
    rng = random.Random(20)
    for _ in range(100):
        seen, size = sorted((rng.randint(0, LOG.size), rng.randint(0, LOG.size)))
        witness = witness_of(LOG).follow(Growth(0, LOG.checkpoint(seen)), AT)
        shown = LOG.rewritten(LOG.acts[:size])
        assert witness.follow(shown.growth(seen), AT).seen.size == size


def test_two_witnesses_that_saw_two_branches_hold_the_proof_of_it() -> None:
    """Of a fork each witness sees one branch: their checkpoints cannot both be of one log."""
    branches = [grown(LOG, 0), LOG.rewritten([*LOG.acts[:SEEN], act(99)])]
    for branch, other in (branches, branches[::-1]):
        witness = witness_of(LOG).follow(Growth(0, branch.checkpoint()), AT)
        with pytest.raises(Corrupt):
            witness.follow(other.growth(min(witness.seen.size, other.size)), AT)
