"""The only import of numba: compiled kernels that release the interpreter lock."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, ParamSpec, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _forget_stale(folder: Path) -> None:
    """Remove compiled kernels of other sources than those in the folder.

    numba compares the file of a kernel alone with what it kept, but a kernel holds those that it calls as well.
    """
    sources = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))).hexdigest()
    kept = folder / "__pycache__"
    mark = kept / "kernels.sha256"
    with contextlib.suppress(
        OSError
    ):  # an installation that nobody writes to keeps nothing, or what it came with
        if not mark.exists() or mark.read_text(encoding="ascii") != sources:
            for path in kept.glob("*.nb[ic]"):
                path.unlink(missing_ok=True)
            kept.mkdir(exist_ok=True)
            mark.write_text(sources, encoding="ascii")


_forget_stale(Path(__file__).parent)


def kernel(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile a function of arrays and numbers to machine code at first use, kept on disk for the next process.

    It runs without the interpreter lock and on one thread; floating point keeps the order that is written.
    """
    return cast("Callable[_P, _R]", numba.njit(cache=True, nogil=True, error_model="numpy")(function))


class Arrays(NamedTuple):
    """One template, or many behind each other, as kernels take them; the minutiae of each in order of their turn.

    `xy` float32 [n, 2], pixels; `turn` float32 [n], radians in [0, 2 pi), clockwise in the image;
    `hull` float32 [h, 2]; `bits` uint64 [24, n], `masks` uint64 [4, n] and `valid` uint8 [n]: see `cylinders`.
    """

    xy: NDArray[np.float32]
    turn: NDArray[np.float32]
    hull: NDArray[np.float32]
    bits: NDArray[np.uint64]
    masks: NDArray[np.uint64]
    valid: NDArray[np.uint8]
