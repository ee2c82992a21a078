"""How long a service with many references takes from its start until it is SERVING.

    python benchmarks/restart.py [--references 1000000]

Enrols made-up references (random unit vectors in the default template space) straight into a store, lets the
service fold them once and leave a snapshot, and then times starts of the real service: from the snapshot with an
empty tail, from the snapshot with a tail, and from the log alone. Memory is that of the service's process.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from rich.progress import track

from benchmarks.common.service import running_service
from benchmarks.common.table import Row, finish, parser
from likeness.app.composition import key_file
from likeness.app.loading import load as load_modality
from likeness.app.settings import load
from likeness.domain.changes import Enrol, RequestKey, Write
from likeness.domain.errors import LikenessError
from likeness.domain.ids import new_id
from likeness.domain.references import Facets, Reference
from likeness.domain.samples import Template
from likeness.face.entry import ENTRY as FACE
from likeness.inference.concurrency.turns import Turns
from likeness.store.store import Store

BATCH = 4000
TAIL = 10_000
"""Changes after the snapshot in the run with a tail."""

GALLERIES = ("wanted", "missing", "unsolved", "travel")


def fill(home: Path, references: int, seed: int) -> float:
    """Enrol made-up references; returns how many per second."""
    settings = load(overrides={"home": home})
    modality = load_modality(FACE, settings, Turns(1))
    space, model = modality.space, modality.model
    draw = np.random.default_rng(seed)
    started = time.perf_counter()
    with Store.open(home, key_file=key_file(settings)) as store:
        for start in track(range(0, references, BATCH), description="enrolling"):
            count = min(BATCH, references - start)
            vectors = draw.normal(size=(count, space.dimension)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            writes = [
                _write(Template(space.space_id, model, v[None]), seed, start + i)
                for i, v in enumerate(vectors)
            ]
            for outcome in store.write(writes):
                if isinstance(outcome, LikenessError):
                    raise outcome
    return references / (time.perf_counter() - started)


def _write(template: Template, seed: int, number: int) -> Write:
    facets = Facets(owner=f"NCB-{number % 50:02d}", galleries=frozenset({GALLERIES[number % len(GALLERIES)]}))
    reference = Reference(new_id(), "face", facets, template_space=template.space, model=template.model)
    request = f"fill-{seed}-{number}"
    return Write(
        RequestKey(facets.owner, request, hashlib.sha256(request.encode()).digest()),
        Enrol(reference, template),
    )


def start(home: Path, seconds: float) -> tuple[float, float]:
    """Seconds from the start of the process until SERVING, and its memory then in MiB; stops it again."""
    began = time.perf_counter()
    with running_service(home=home, start_seconds=seconds):
        took = time.perf_counter() - began
        processes = psutil.Process().children(recursive=True)
        memory = max(p.memory_info().rss for p in processes if p.is_running())
    return took, memory / (1 << 20)


def main() -> None:
    """Run the benchmark."""
    flags = parser(__doc__ or "")
    flags.formatter_class = argparse.RawDescriptionHelpFormatter
    flags.add_argument("--references", type=int, default=1_000_000, help="how many (default a million)")
    flags.add_argument("--patience", type=float, default=900.0, help="seconds that a start may take")
    arguments = flags.parse_args()
    rows = []
    what = f"{arguments.references:,} references"
    with tempfile.TemporaryDirectory(prefix="likeness-restart-") as scratch:
        home = Path(scratch)
        rows.append(
            Row(what, "enrolled into the store", fill(home, arguments.references, arguments.seed), "1/s")
        )
        for label in ("start from the log alone", "start from the snapshot"):
            seconds, memory = start(home, arguments.patience)
            rows += [Row(what, label, seconds, "s"), Row(what, f"memory after {label}", memory, "MiB")]
        fill(home, TAIL, arguments.seed + 1)
        seconds, _ = start(home, arguments.patience)
        rows.append(Row(what, f"start from the snapshot and a tail of {TAIL:,}", seconds, "s"))
        size = sum(p.stat().st_size for p in (home / "snapshots").rglob("*") if p.is_file())
        rows.append(Row(what, "snapshots on disk", size / (1 << 20), "MiB", "the newest two"))
        rows.append(Row(what, "database on disk", _size(home), "MiB"))
    finish("From start to SERVING", rows, arguments)


def _size(home: Path) -> float:
    return sum(p.stat().st_size for p in home.iterdir() if p.is_file()) / (1 << 20)


if __name__ == "__main__":
    main()
