"""Two services that differ in references which the callers may not know of alone: what both answer and count."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from likeness.domain.ids import new_id
from likeness.domain.references import Purpose
from likeness.engine.gauges import report_store
from likeness.telemetry import metrics
from likeness.telemetry.http import PATH, MetricsPage
from likeness.testing.vectors import VectorModality
from tests.contract.matrix_calls import ABOUT_ALL, ABOUT_ONE, Target
from tests.contract.matrix_hub import Door, hold, serving
from tests.oracle.access import plain
from tests.oracle.access.cases import ROLES, Asking, every_held
from tests.waiting import eventually

CALLER = "BB-POLICE"
ASKINGS = [
    Asking(role, CALLER, purpose, frontline=role == "frontline")
    for role, purpose in product(ROLES, (Purpose.WANTED_PERSON, Purpose.SYSTEM_TEST))
]
OTHERS = [held for held in every_held() if held.owner != CALLER]
HIDDEN = [held for held in OTHERS if not any(plain.shown(asking, held) for asking in ASKINGS)]
SHOWN = [held for held in OTHERS if any(plain.shown(asking, held) > 1 for asking in ASKINGS)][:20]
ABOUT = 4
"""Of what is hidden, at least so many are asked about by every caller and method."""

STOCK = ("likeness_index_", "likeness_store_", "likeness_snapshot_")
"""Begins the names of gauges of how much there is in all, whoever asks; the clock sets them, and no call."""

PROCESS = ("process_", "python_", "likeness_assistant_process_")

Page = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]
"""The samples of a page by name and labels, but for those of the stock and of the process; of durations how many
there were, and not how long they took."""


@dataclass(frozen=True)
class Report:
    """What became of all calls in one world: the samples of the page before and after them, and every answer,
    without the names of references."""

    before: Page
    after: Page
    answers: tuple[tuple[str, bytes], ...]


def report(home: Path, hidden: bool) -> Report:
    """Serve what is shown to the callers, with or without what is hidden from them, and let each ask about all.

    For a process of its own, since a process has one page.
    """
    with serving(home, VectorModality()) as (served, _):
        store = served.composition.store
        store.observe_commits(metrics.committed)
        held = [*SHOWN, *(HIDDEN if hidden else ())]
        made = hold(served.composition.engines["face"], held)
        page = MetricsPage("127.0.0.1", 0)
        door = Door(served.address)
        report_store(store)
        before = read(page)
        numbers = range(len(SHOWN), len(SHOWN) + len(HIDDEN), len(HIDDEN) // ABOUT)
        targets = [made.get(HIDDEN[n - len(SHOWN)], Target(new_id(), n)) for n in numbers]
        names = [target.reference_id for target in (*made.values(), *targets)]
        answers = tuple(asked(door, targets, names))
        eventually(lambda: ended(read(page)) == ended(before) + len(answers))
        report_store(store)
        after = read(page)
        door.close()
        page.close()
    return Report(before, after, answers)


def asked(door: Door, targets: Sequence[Target], names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """What every caller is answered by every method, one after the other."""
    for asking, (_, call) in product(ASKINGS, ABOUT_ALL.values()):
        outcome = door.ask(asking, call)
        content = outcome.content
        for number, name in enumerate(names):
            content = content.replace(name.encode(), b"%036d" % number)
        yield outcome.reason, content
    for asking, (_, call), target in product(ASKINGS, ABOUT_ONE.values(), targets):
        outcome = door.ask(asking, call, target)
        yield outcome.reason, outcome.content


def read(page: MetricsPage) -> Page:
    """The whole page, over HTTP."""
    with urllib.request.urlopen(f"http://127.0.0.1:{page.port}{PATH}") as answer:
        text = answer.read().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not family.name.startswith((*STOCK, *PROCESS))
        and not sample.name.endswith("_created")
        and not (family.name.endswith("_seconds") and sample.name.endswith(("_bucket", "_sum")))
    }


def ended(page: Page) -> float:
    """Calls that were answered."""
    return sum(value for (name, _), value in page.items() if name == "likeness_rpc_duration_seconds_count")
