"""The only import of numba: compiled kernels that release the interpreter lock."""

from __future__ import annotations

import hashlib
import logging
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

import llvmlite
import numba
import numpy as np
from numba.core import compiler, serialize
from numpy.typing import NDArray

from likeness.fingerprint import parameters as p
from likeness.fingerprint.kernel_files import KernelFiles, digest_of_sources, places
from likeness.telemetry import logs

_P = ParamSpec("_P")
_R = TypeVar("_R")

_WORDS, _MASK_WORDS = p.WORDS, p.MASK_WORDS
_VERSIONS = (numba.__version__, llvmlite.__version__, np.__version__, sys.version)
_config: Any = numba.config
_Compiled: Any = compiler.CompileResult
_pickled: Callable[[object], bytes] = serialize.dumps
_files = KernelFiles.standard(places(_config.CACHE_DIR), digest_of_sources())
_watchers: list[Callable[[str], None]] = []
_logger = logging.getLogger(__name__)


def folder_of_kernels() -> Path | None:
    """Where compiled kernels are written for the next process; None where no place can be written to."""
    return _files.write_to


@contextmanager
def watching(watcher: Callable[[str], None]) -> Iterator[None]:
    """Call a function with the name of every kernel that has to be compiled within, before it is."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


class _Cache:
    """What a dispatcher of numba asks for compiled code before it compiles, and gives it to afterwards.

    It takes the place of numba's own cache, which unpickles whatever it finds in its files.
    """

    cache_path = None

    def __init__(self, function: Callable[..., Any]) -> None:
        code = hashlib.sha256(function.__code__.co_code).hexdigest()
        self._name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"
        self._identity = (*_VERSIONS, self._name, code)

    def _key(self, signature: object, codegen: Any) -> str:
        """The processor is part of it: code that was compiled for another one is not found."""
        return repr((*self._identity, signature, codegen.magic_tuple()))

    def load_overload(self, signature: object, target: Any) -> Any:
        """The compiled code of a signature, or None."""
        target.refresh()
        payload = _files.read(self._key(signature, target.codegen()))
        if payload is not None:
            return _Compiled._rebuild(target, *pickle.loads(payload))  # noqa: S301  its digest is right
        logs.event(_logger, logging.INFO, "compiling kernel", task=self._name)
        for watcher in tuple(_watchers):
            watcher(self._name)
        return None

    def save_overload(self, signature: object, compiled: Any) -> None:
        """Keep the compiled code of a signature."""
        if _files.write_to is not None:
            _files.write(self._key(signature, compiled.codegen), _pickled(compiled._reduce()))

    def flush(self) -> None:
        """Files of other sources have other folders."""


def kernel(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile a function of arrays and numbers to machine code at first use, cached on disk for the next process.

    It runs without the interpreter lock and on one thread; floating point keeps the order that is written. What is
    on disk is for one kind of processor and one release of numba. Where nothing can be cached, it is compiled in
    every process, which takes about half a minute for all kernels together.
    """
    dispatcher: Any = numba.njit(nogil=True, error_model="numpy")(function)
    dispatcher._cache = _Cache(function)
    return cast("Callable[_P, _R]", dispatcher)


class Arrays(NamedTuple):
    """One template, or many behind each other, as kernels take them; the minutiae of each in order of their turn.

    `xy` float32 [n, 2], pixels; `turn` float32 [n], radians in [0, 2 pi), clockwise in the image;
    `hull` float32 [h, 2]; `bits` uint64 [24, n], `masks` uint64 [4, n] and `valid` uint8 [n]: see `cylinders`;
    `kind` uint8 [n], see `minutiae.MinutiaKind`; `trust` float32 [n] in 0..1, see `prepared.trust_of`.
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
