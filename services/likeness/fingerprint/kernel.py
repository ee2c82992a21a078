"""The only import of numba: compiled kernels that release the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

_P = ParamSpec("_P")
_R = TypeVar("_R")


def kernel(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile a function of arrays and numbers to machine code at first use, kept on disk for the next process.

    It runs without the interpreter lock and on one thread; floating point keeps the order that is written.
    """
    return cast("Callable[_P, _R]", numba.njit(cache=True, nogil=True, error_model="numpy")(function))
