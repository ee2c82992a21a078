"""The real server, store and engine over the small modality of `tests.support`: quick to start and to kill.

    python -m tests.faults.vector_server HOME

Prints the address once it serves.
"""

from __future__ import annotations

import sys
from pathlib import Path

from likeness.app.settings import Settings, load
from likeness.engine.engine import Engine
from likeness.engine.opening import Running, open_engine
from likeness.rpc.server import serve
from likeness.store.store import Store
from tests.support import VectorModality


class Composed:
    def __init__(self, settings: Settings) -> None:
        self._store = Store.open(settings.home / "data", key_file=settings.home / "keys.json")
        self._running: Running = open_engine(
            VectorModality(),
            self._store,
            settings.home / "snapshots",
            snapshot_seconds=settings.snapshot.interval,
        )

    @property
    def engines(self) -> dict[str, Engine]:
        return {"face": self._running.engine}

    def close(self) -> None:
        self._running.close()
        self._store.close()


def main() -> None:
    settings = load(
        environment={},
        overrides={
            "home": Path(sys.argv[1]),
            "grpc.address": "127.0.0.1:0",
            "metrics.address": "",
            "log.level": "ERROR",
            "snapshot.interval": 1,
        },
    )
    serve(settings, Composed, announce=lambda address: print(address, flush=True))


if __name__ == "__main__":
    main()
