"""Coverage-guided fuzzing of the record formats and of what wraps them.

    python -m tests.fuzz.fingerprint_records CORPUS [-max_total_time=60]

Needs atheris (`pip install atheris`, Linux). CORPUS is a folder; where it is empty, every record that the tests
make is put there in every wrapper. A record may be refused with our own error; anything else is a find.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["likeness.fingerprint.formats"]):
    from likeness.domain.errors import SampleRejected
    from likeness.fingerprint.formats import Standard, read, write

from tests.unit.fingerprint.formats.records import BINARY, WRAPPERS, block_378, efs


def fuzz(data: bytes) -> None:
    """What can be read can be written in every format, and read again."""
    try:
        record = read(data, "fuzzed")
    except SampleRejected:
        return
    if not record.views:
        return  # not every format has a place for none
    for standard in Standard:
        again = read(write(record, standard), "rewritten")
        assert len(again.views) == len(record.views)


def seed(corpus: Path) -> None:
    """Fill an empty corpus."""
    corpus.mkdir(parents=True, exist_ok=True)
    if any(corpus.iterdir()):
        return
    transaction = b"1.01:18\x1d1.02:0201\x1c" + efs(b"2", b"3") + block_378(b"7")
    records = [*BINARY.values(), transaction, BINARY[Standard.ISO_2005] + bytes(9)]
    for number, record in enumerate(records):
        (corpus / f"{number}").write_bytes(record)
        for name, wrapper in WRAPPERS.items():
            (corpus / f"{number} {name}").write_bytes(wrapper(record))


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        if not folder.startswith("-"):
            seed(Path(folder))
    atheris.Setup(sys.argv, fuzz)
    atheris.Fuzz()
