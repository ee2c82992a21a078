"""What the modalities of a process share: the memory for photographs, and the turns at computing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from likeness.app.assisting import _extract_within
from likeness.app.loading import assistant_bytes, limits_of, load
from likeness.app.registry import ENTRIES
from likeness.app.settings import Settings
from likeness.app.settings import load as load_settings
from likeness.domain.answers import Score
from likeness.domain.deadline import NO_DEADLINE, CallDeadline, Deadline, hold
from likeness.domain.errors import DeadlineExceeded, Exhausted
from likeness.domain.modality import Modality
from likeness.domain.samples import Extraction, Issue, Mode, Sample, Template
from likeness.inference.concurrency.turns import SURPLUS, Turns
from likeness.inference.models.catalogue import Catalogue, FileState
from likeness.inference.models.runtime import OnnxModel
from tests.unit.fingerprint.drawn_fingers import sample as record_of_a_finger
from tests.unit.fingerprint.drawn_fingers import view
from tests.unit.object.things import encoded, thing
from tests.waiting import PATIENCE, eventually


def settings(**given: Any) -> Settings:
    usual: dict[str, Any] = {"home": Path("/nowhere"), "threads": 2}
    return load_settings(environment={}, overrides=usual | given)


def test_the_modalities_of_a_process_share_one_budget() -> None:
    assert limits_of(settings()).memory is limits_of(settings()).memory


@pytest.mark.parametrize("given", [{}, {"face.assistant": False}, {"threads": 1}, {"modalities": "object"}])
def test_both_processes_together_have_what_is_set(given: dict[str, Any]) -> None:
    set_ = settings(**{"decoding.max_bytes": 1 << 30, **given})
    assert limits_of(set_).memory.size + assistant_bytes(set_) == 1 << 30
    assert (assistant_bytes(set_) > 0) == (not given)


def test_what_is_too_large_for_the_assistant_comes_back() -> None:
    class Refusing:
        def extract(self, *_: object) -> list[Extraction]:
            too_large = Issue("IMAGE_TOO_LARGE", "It takes 200 MiB to decode; scale it down.")
            return [Extraction(rejection=too_large)]

    with pytest.raises(Exhausted, match="200 MiB"):
        _extract_within(Refusing(), (Sample(b""), Mode.PROBE), NO_DEADLINE)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def turns() -> Turns:
    return Turns(1)


@pytest.fixture(scope="module")
def modalities(turns: Turns) -> list[Modality]:
    """All that can be loaded here; faces need models that are built."""
    set_ = settings(threads=1)
    catalogue = Catalogue.standard(set_.home)
    return [
        load(entry, set_, turns)
        for entry in ENTRIES
        if all(
            catalogue.state(catalogue.get(model)) is FileState.READY for model in entry.models(set_.of(entry))
        )
    ]


def given(modality: Modality) -> Sample:
    return record_of_a_finger(view(0)) if modality.name == "fingerprint" else Sample(encoded(thing(1)))


def template_of(modality: Modality) -> Template | None:
    findings = modality.extract([given(modality)], Mode.PROBE)[0].findings
    return findings[0].template if findings else None


def compared(modality: Modality, template: Template, deadline: Deadline) -> list[Score]:
    return hold(lambda _: modality.compare(template, [template]), deadline)


def test_while_all_turns_are_held_no_modality_computes(
    turns: Turns, modalities: list[Modality], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even in parts that no graph runs: with the budget held, everything waits, and is given up."""
    gone = CallDeadline()
    work: list[Callable[[], object]] = []
    for one in modalities:
        template = template_of(one)
        work += [partial(one.extract, [given(one)], mode, gone) for mode in Mode]
        if template is not None and one.name != "face":  # cosines of faces take less than a turn
            work.append(partial(compared, one, template, gone))
    computed: list[str] = []
    for place in (
        "inference.models.runtime.OnnxModel.run",
        "imaging.codec.read",
        "fingerprint.modality.read",
        "fingerprint.matcher.Matcher.compare",
        "object.matcher.PreparedObject.from_bytes",
    ):
        monkeypatch.setattr(f"likeness.{place}", lambda *_, place=place, **__: computed.append(place))
    with ThreadPoolExecutor(len(work)) as pool, ExitStack() as held:
        for _ in range(turns.count + SURPLUS):
            held.enter_context(turns.one())
        under_way = [pool.submit(copy_context().run, one) for one in work]
        eventually(lambda: turns.waiting == len(work))
        gone.abandoned.set()
        for waiting in under_way:
            with pytest.raises(DeadlineExceeded, match="caller went away"):
                waiting.result(PATIENCE)
    assert computed == []


def test_all_modalities_together_compute_on_the_cores_of_one_budget(
    turns: Turns, modalities: list[Modality], monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, most, lock, run = 0, 0, threading.Lock(), OnnxModel.run

    def counted(*arguments: Any) -> Any:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        try:
            return run(*arguments)
        finally:
            with lock:
                inside -= 1

    monkeypatch.setattr(OnnxModel, "run", counted)
    work = [partial(one.extract, [given(one)] * 2, Mode.PROBE) for one in modalities] * 3
    with ThreadPoolExecutor(len(work)) as pool:
        for found in pool.map(lambda one: one(), work):
            assert len(found) == 2
    assert 0 < most <= turns.count + SURPLUS
