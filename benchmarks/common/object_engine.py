"""The object service's engine in this process, over an empty store of its own."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from likeness.domain.answers import SearchAnswer, SearchOptions
from likeness.domain.changes import RequestKey
from likeness.domain.references import Caller, Facets, Purpose, Reference
from likeness.domain.samples import Sample, Template
from likeness.engine.engine import Engine
from likeness.engine.opening import open_engine
from likeness.inference.concurrency.turns import Turns
from likeness.object.modality import ObjectModality
from likeness.store.store import Store

CALLER = Caller("NCB-BENCH", Purpose.SYSTEM_TEST, case_reference="benchmark")


class Service:
    """Enrols by name, searches, and tells names."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.names: dict[str, str] = {}

    def enrol(self, name: str, data: bytes) -> Template:
        """Enrol a photograph as a subject of its own; blank ones too."""
        key = RequestKey(CALLER.entity, name, hashlib.sha256(data).digest())
        described = Reference("", "object", Facets(owner=CALLER.entity), subject_id=name)
        made = self.engine.enrol(CALLER, key, described, Sample(data, name), override="benchmark")
        self.names[made.reference.reference_id] = name
        if made.finding is None or made.finding.template is None:
            raise SystemExit(f"{name} got no template")
        return made.finding.template

    def search(self, data: bytes, k: int = 10) -> SearchAnswer:
        """Search with a photograph."""
        return self.engine.search(CALLER, Sample(data, "probe"), SearchOptions(k=k))


@contextmanager
def service(workers: int = 2) -> Iterator[Service]:
    """An engine with nothing enrolled; its files are removed afterwards."""
    modality = ObjectModality.load(calibration=None, turns=Turns(workers))
    with tempfile.TemporaryDirectory(prefix="likeness-bench-") as scratch:
        folder = Path(scratch)
        with Store.open(folder / "data", key_file=folder / "keys.json") as store:
            running = open_engine(modality, store, None)
            try:
                yield Service(running.engine)
            finally:
                running.close()
