"""The real server, store and engine over the small modality of `likeness.testing`: quick to start and to kill.

    python -m tests.faults.vector_server HOME

Prints the address once it serves.
"""

from __future__ import annotations

import sys
from pathlib import Path

from likeness.app.settings import Settings, load
from likeness.rpc.server import serve
from likeness.testing.composition import LocalComposition
from likeness.testing.vectors import VectorModality


def compose(settings: Settings) -> LocalComposition:
    return LocalComposition.open(
        settings.home / "data",
        VectorModality(),
        key_file=settings.home / "keys.json",
        snapshots=settings.home / "snapshots",
        snapshot_seconds=settings.snapshot.interval,
    )


def main() -> None:
    settings = load(
        environment={},
        overrides={
            "home": Path(sys.argv[1]),
            "grpc.address": "127.0.0.1:0",
            "metrics.address": "",
            "health.address": "",
            "log.level": "ERROR",
            "snapshot.interval": 1,
        },
    )
    serve(settings, compose, announce=lambda address: print(address, flush=True))


if __name__ == "__main__":
    main()
