"""Reading the arrays of an `.npz` file that may be anything."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likeness.domain.errors import Corrupt
from likeness.inference.models import sums

MAX_UNPACKED_BYTES = 256 << 20
"""Of all arrays together, by what the archive's directory says, before any is unpacked."""


def read_arrays(path: Path, names: Sequence[str], what: str) -> dict[str, NDArray[np.generic]]:
    """The named arrays of the file.

    Args:
        path: the file; checked as `sums.read` says.
        names: of the arrays that must be in it.
        what: what the file is, for the message.

    Raises:
        Corrupt: it is missing, is no such file, or is larger than these files are.
    """
    try:
        data = sums.read(path)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > MAX_UNPACKED_BYTES:
            raise ValueError(f"it would unpack to {unpacked} bytes")
        with np.load(io.BytesIO(data), allow_pickle=False) as held:
            found = {name: held[name] for name in names}
        strange = [name for name, array in found.items() if not isinstance(array, np.ndarray)]
        if strange:  # numpy hands out the bytes of what has no header
            raise ValueError(f"{strange[0]} is no array")
    except Corrupt:
        raise
    except Exception as error:  # whatever zipfile, its decompressors and numpy raise for damaged bytes
        raise Corrupt(f"{path} is not {what} ({error}); restore the file.") from error
    return found
