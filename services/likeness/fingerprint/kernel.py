"""The only import of numba: compiled kernels that release the interpreter lock."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from likeness.fingerprint import parameters as p

_P = ParamSpec("_P")
_R = TypeVar("_R")

_WORDS, _MASK_WORDS = p.WORDS, p.MASK_WORDS
_PACKAGE = Path(__file__).parent
_config: Any = numba.config


def _places() -> Iterator[Path]:
    """Where kernels may be kept, the best first: as told, beside the sources, with the user."""
    if _config.CACHE_DIR:
        yield Path(_config.CACHE_DIR)
    yield _PACKAGE / "__pycache__"
    yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "likeness"


def _kept_in(place: Path, sources: str) -> Path | None:
    """The folder in that place for kernels of these sources, or None where it cannot be written to.

    numba compares the file of a kernel alone with what it kept, but a kernel holds those that it calls as well: so
    kernels of other sources have another folder. Nobody else may write to it, since what is in it is run.
    """
    folder = place / f"kernels-{sources}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = folder.stat()
        if held.st_uid != os.getuid() or held.st_mode & 0o022:
            return None
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, RuntimeError):
        return None
    if place == _PACKAGE / "__pycache__":  # elsewhere another release may be running
        for other in place.glob("kernels-*"):
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
    return folder


def _cache() -> Path | None:
    """Where kernels are kept for the next process; None where there is no such place, as in a sealed container."""
    sources = b"".join(path.read_bytes() for path in sorted(_PACKAGE.glob("*.py")))
    name = hashlib.sha256(sources).hexdigest()[:16]
    return next((folder for place in _places() if (folder := _kept_in(place, name)) is not None), None)


_CACHE = _cache()
if _CACHE is not None:
    _config.CACHE_DIR = str(_CACHE)


def kernel(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile a function of arrays and numbers to machine code at first use, kept on disk for the next process.

    It runs without the interpreter lock and on one thread; floating point keeps the order that is written. Where
    nothing can be kept, it is compiled in every process, which takes about half a minute.
    """
    keep = _CACHE is not None
    return cast("Callable[_P, _R]", numba.njit(cache=keep, nogil=True, error_model="numpy")(function))


class Arrays(NamedTuple):
    """One template, or many behind each other, as kernels take them; the minutiae of each in order of their turn.

    `xy` float32 [n, 2], pixels; `turn` float32 [n], radians in [0, 2 pi), clockwise in the image;
    `hull` float32 [h, 2]; `bits` uint64 [24, n], `masks` uint64 [4, n] and `valid` uint8 [n]: see `cylinders`;
    `kind` uint8 [n], see `minutiae.Kind`; `trust` float32 [n] in 0..1, see `prepared.trust_of`.
    """

    xy: NDArray[np.float32]
    turn: NDArray[np.float32]
    hull: NDArray[np.float32]
    bits: NDArray[np.uint64]
    masks: NDArray[np.uint64]
    valid: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    trust: NDArray[np.float32]


@kernel
def nth(
    many: Arrays, starts: NDArray[np.int64], corners: NDArray[np.int64], k: int, first: int, wide: int
) -> Arrays:
    """Template k of many that lie behind each other, `bits` and `masks` flat and those of each as they are alone.

    Its minutiae are starts[k] to starts[k + 1], its hull's corners corners[k] to corners[k + 1]; `first` cylinders
    lie before its own, of which there are `wide`.
    """
    low, high = starts[k], starts[k + 1]
    return Arrays(
        many.xy[low:high],
        many.turn[low:high],
        many.hull[corners[k] : corners[k + 1]],
        many.bits[_WORDS * first : _WORDS * (first + wide)].reshape((_WORDS, wide)),
        many.masks[_MASK_WORDS * first : _MASK_WORDS * (first + wide)].reshape((_MASK_WORDS, wide)),
        many.valid[low:high],
        many.kind[low:high],
        many.trust[low:high],
    )
