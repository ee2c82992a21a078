"""A process that writes to a store until it is killed, and says what it asks for and what was acknowledged.

Each line on standard output is a JSON array: ["ask", operation, reference, request, number] before a write and
["done", request, position] once it is acknowledged. The writes themselves can be made again from the line.
"""

import json
import os
import random
import sys
import threading
from dataclasses import replace
from pathlib import Path

from likeness.domain.changes import Enrol, Write
from likeness.domain.storage import only
from likeness.store.store import Store
from tests.unit.store.writes import act, enrol, expunge, open_store, update

THREADS = 3


def say(*words: str | int) -> None:
    """One line in one system call, which the end of the process cannot cut in two."""
    os.write(sys.stdout.fileno(), json.dumps(words).encode() + b"\n")


def write_for(operation: str, reference_id: str, request_id: str, number: int) -> Write:
    """The write that an "ask" line stands for."""
    described = enrol(number, reference_id=reference_id, source=str(number).encode())
    if operation == "enrol":
        write = described
    elif operation == "update":
        assert isinstance(described.change, Enrol)
        write = update(described.change.reference)
    else:
        write = expunge(reference_id, reason=f"reason {number}")
    key = replace(write.key, request_id=request_id, digest=number.to_bytes(32, "big"))
    return replace(write, key=key, audit=act(number))


def work(store: Store, name: str, seed: int) -> None:
    """Enrol, update and expunge references of this thread's own, until the end of the process."""
    rng = random.Random(seed)
    alive: list[str] = []
    number = 0
    while True:
        number += 1
        request_id = f"{name}-{number}"
        operation = rng.choice(("enrol", "enrol", "update", "expunge")) if alive else "enrol"
        if operation == "enrol":
            reference_id = f"reference-{request_id}"
            alive.append(reference_id)
        else:
            reference_id = rng.choice(alive)
        if operation == "expunge":
            alive.remove(reference_id)
        say("ask", operation, reference_id, request_id, number)
        receipt = only(store.write([write_for(operation, reference_id, request_id, number)]))
        say("done", request_id, receipt.position)


def main(folder: Path, seed: int) -> None:
    """Open the store and write to it from several threads."""
    store = open_store(folder)
    say("open")
    for index in range(THREADS):
        threading.Thread(target=work, args=(store, f"{seed}-{index}", seed * THREADS + index)).start()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
