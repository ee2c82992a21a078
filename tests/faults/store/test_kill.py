"""SIGKILL at any moment: what was acknowledged is there, what was expunged is gone, every start succeeds."""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from likeness.domain.changes import Receipt
from likeness.domain.references import Status
from likeness.domain.storage import only
from likeness.store.store import Store
from tests.faults.store.worker import write_for
from tests.unit.store.writes import open_store, template, template_bytes

ROUNDS = int(os.environ.get("LIKENESS_FAULT_ROUNDS", "8"))
EARLY_SHARE = 0.15
"""Of the rounds: killed while the store is being opened."""

STARTUP_SECONDS = 0.6
MOST_LINES = 150
ROOT = Path(__file__).parents[3]

Ask = tuple[str, str, str, int]


@dataclass
class Ledger:
    """What the killed processes reported: per reference the last acknowledged ask, and those left open."""

    done: dict[str, Ask] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    open: dict[str, Ask] = field(default_factory=dict)

    def read(self, line: bytes) -> None:
        """Take in one line of a worker."""
        kind, *words = json.loads(line)
        if kind == "ask":
            operation, reference_id, request_id, number = words
            self.open[request_id] = (operation, reference_id, request_id, number)
        elif kind == "done":
            request_id, position = words
            ask = self.open.pop(request_id)
            self.done[ask[1]] = ask
            self.positions[request_id] = position


def run_and_kill(folder: Path, seed: int, rng: random.Random, ledger: Ledger) -> None:
    """Start a worker and kill it: mostly after some lines of work, at times while it opens the store."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.store.worker", str(folder), str(seed)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'services'}:{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = 0 if rng.random() < EARLY_SHARE else rng.randrange(2, MOST_LINES)
        for line in itertools.islice(process.stdout, lines):
            ledger.read(line)
        time.sleep(rng.uniform(0, 0.01 if lines else STARTUP_SECONDS))
        process.send_signal(signal.SIGKILL)
        for line in process.stdout:
            ledger.read(line)
        errors = process.stderr.read().decode()
    assert process.returncode == -signal.SIGKILL, errors
    assert errors == ""


def check(store: Store, ledger: Ledger) -> None:
    """Hold the store against the ledger, finishing what was left open by asking again."""
    positions = [entry.position for entry in store.tail(0)]
    assert positions == list(range(1, store.head() + 1))
    for request_id, ask in list(ledger.open.items()):
        receipt = only(store.write([write_for(*ask)]))
        ledger.done[ask[1]] = ask
        ledger.positions[request_id] = receipt.position
        del ledger.open[request_id]
    assert len(set(ledger.positions.values())) == len(ledger.positions) == store.head()
    expect(store, list(ledger.done.values()))
    acts = store.audit_entries(limit=store.audit_head().position)
    assert sum(not act.entry.details.get("replayed", False) for act in acts) == store.head()
    report = store.verify(full=True)
    assert report.problems == ()
    assert report.references == len(ledger.done)


def expect(store: Store, asks: list[Ask]) -> None:
    """Each reference is as its ask left it, and asking again is answered with the first receipt."""
    references = store.get_many(ask[1] for ask in asks)
    templates = store.templates(references)
    for ask, again in zip(asks, store.write([write_for(*ask) for ask in asks]), strict=True):
        operation, name, _, number = ask
        assert isinstance(again, Receipt)
        assert again.replayed
        assert again.position == references[name].position
        if operation == "expunge":
            assert references[name].facets.status is Status.EXPUNGED
            assert name not in templates
            assert store.source(name) is None
        else:
            enrolled = int(name.rsplit("-", 1)[1])
            assert references[name].facets.status is Status.ACTIVE
            assert references[name].subject_id == f"subject-{number}"
            assert template_bytes(templates[name]) == template_bytes(template(enrolled))
            assert store.source(name) == str(enrolled).encode()


def test_nothing_acknowledged_is_lost_and_nothing_expunged_returns(tmp_path: Path) -> None:
    rng = random.Random(20)
    ledger = Ledger()
    for seed in range(ROUNDS):
        run_and_kill(tmp_path, seed, rng, ledger)
        with open_store(tmp_path) as store:
            check(store, ledger)
    assert len(ledger.done) > ROUNDS
