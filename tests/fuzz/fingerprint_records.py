"""Coverage-guided fuzzing of the record formats: fingerprint_records.py [CORPUS] [-max_total_time=60]

Needs atheris (`pip install atheris`, Linux). A record may be refused with our own error; anything else is a find.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["likeness.fingerprint.formats"]):
    from likeness.domain.errors import SampleRejected
    from likeness.fingerprint.formats import Standard, read, write


def fuzz(data: bytes) -> None:
    """What can be read can be written in every format, and read again."""
    try:
        record = read(data, "fuzzed")
    except SampleRejected:
        return
    for standard in Standard:
        again = read(write(record, standard), "rewritten")
        assert len(again.views) == len(record.views)


atheris.Setup(sys.argv, fuzz)
atheris.Fuzz()
