"""An archive of arrays that may be anything is one error, never whatever a library raises."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest

from likeness.domain.errors import Corrupt
from likeness.inference.models.arrays import read_arrays


def archive(shape: str, method: int = zipfile.ZIP_STORED) -> bytearray:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".encode()
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(64)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        made.writestr("a.npy", data)
    return bytearray(file.getvalue())


def encrypted() -> bytearray:
    data = archive("(4,)")
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    return data


def damaged(method: int) -> bytearray:
    data = archive("(4,)", method)
    data[40:60] = b"\xff" * 20
    return data


@pytest.mark.parametrize(
    "data",
    [
        archive(f"({10**30},)"),
        archive("(-5,)"),
        archive("-" * 5000 + "1"),
        encrypted(),
        *(damaged(method) for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)),
    ],
)
def test_what_is_damaged_is_corrupt(tmp_path: Path, data: bytearray) -> None:
    path = tmp_path / "own.npz"
    path.write_bytes(data)
    with pytest.raises(Corrupt, match="restore the file"):
        read_arrays(path, ["a"], "a set of arrays")
