"""onnxruntime behind one class. Nothing else in the product imports it.

A model file is read once, its digest is checked, and only then does onnxruntime parse those same bytes. All
session settings that matter for a service are explicit: threads (never spinning, since parallelism is across
requests), determinism and memory. The arena stays on (without it a detector takes 15% more time and no less
memory under changing shapes); the memory pattern, which is cached per shape, only where shapes are fixed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

# onnxruntime's builds send usage data to its maker unless this is set before the first import; nothing leaves here.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort  # type: ignore[import-untyped]

from likeness.domain.errors import (
    Corrupt,
    InvalidInput,
    LikenessError,
    NotFound,
    Precondition,
)
from likeness.inference.models.external import takes_external_data

MAX_MODEL_BYTES = 2 << 30
"""Largest model file that is read; a protobuf message cannot be larger."""

Array = npt.NDArray[Any]

_LOG_ERRORS_ONLY = 3  # onnxruntime severity: warnings speak of graph details that an operator cannot act on
_DTYPES: Mapping[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output of a graph; a free dimension is None. `dtype` is None for a kind we do not feed."""

    name: str
    shape: tuple[int | None, ...]
    dtype: type[np.generic] | None

    def __str__(self) -> str:
        dimensions = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name} [{dimensions}]"


def _spec(node: Any) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in node.shape)
    return TensorSpec(node.name, shape, _DTYPES.get(node.type))


def read_verified(path: Path, sha256: str) -> bytes:
    """The bytes of a model file whose digest is the expected one.

    Raises:
        NotFound: the file is not there.
        InvalidInput: the file is larger than `MAX_MODEL_BYTES`.
        Corrupt: the digest differs.
    """
    if not path.is_file():
        raise NotFound(
            f"The model file {path} is not there; run: likeness models build", reason="MODEL_FILE_MISSING"
        )
    if (size := path.stat().st_size) > MAX_MODEL_BYTES:
        raise InvalidInput(
            f"The model file {path} has {size} bytes, more than the {MAX_MODEL_BYTES} that can be read",
            reason="MODEL_FILE_TOO_LARGE",
        )
    data = path.read_bytes()
    if (found := hashlib.sha256(data).hexdigest()) != sha256.lower():
        raise Corrupt(
            f"The model file {path} has SHA-256 {found}, its manifest says {sha256}. Nothing was loaded. Restore "
            "the file or, if it was meant to change, write its digest into the manifest",
            reason="MODEL_DIGEST_MISMATCH",
        )
    return data


class OnnxModel:
    """One ONNX graph, ready to run; safe to call from several threads at once.

    Args:
        path: the model file.
        sha256: digest that the file must have, checked before onnxruntime sees a byte.
        threads: threads that one call may use (intra-op); 1 runs in the calling thread.

    Raises:
        NotFound, InvalidInput, Corrupt: see `read_verified`.
        Precondition: onnxruntime cannot load the graph, or it takes weights from other files.
    """

    def __init__(self, path: Path, *, sha256: str, threads: int = 1) -> None:
        self.path = path
        data = read_verified(path, sha256)
        _check_whole(path, data)
        try:
            self._session = _open(data, threads, steady=True)
            if any(None in spec.shape[1:] for spec in self._specs()):
                self._session = _open(data, threads, steady=False)
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            raise Precondition(
                f"onnxruntime {ort.__version__} cannot load {path}: {error}. A graph must be one self-contained "
                "file of supported operators; export it again with weights inside",
                reason="MODEL_UNREADABLE",
            ) from error
        self.inputs: tuple[TensorSpec, ...] = self._specs()
        self.outputs: tuple[TensorSpec, ...] = tuple(_spec(node) for node in self._session.get_outputs())

    @property
    def input(self) -> TensorSpec:
        """The only input.

        Raises:
            Precondition: the graph has none or several.
        """
        if len(self.inputs) != 1:
            raise Precondition(
                f"{self.path} has {len(self.inputs)} inputs where one image batch is expected",
                reason="MODEL_UNFIT",
            )
        return self.inputs[0]

    @property
    def batch(self) -> int | None:
        """The batch size built into the graph, or None where it is free."""
        return self.input.shape[0] if self.input.shape else None

    def run(self, images: Array, outputs: Sequence[str] | None = None) -> dict[str, Array]:
        """Runs a batch of any size through the graph.

        A graph with a fixed batch of n is run as often as needed, the last time padded with copies of the last
        item; the padding is cut off again.

        Args:
            images: the only input, its first axis the batch; cast to the graph's dtype.
            outputs: names of the outputs wanted, all by default.

        Returns:
            The outputs by name, in the order asked for.

        Raises:
            InvalidInput: the array does not fit the graph's input.
            LikenessError: onnxruntime failed (reason INFERENCE_FAILED).
        """
        spec = self.input
        self._check_shape(images, spec)
        names = list(outputs) if outputs is not None else [output.name for output in self.outputs]
        if spec.dtype is not None:
            images = np.ascontiguousarray(images, dtype=spec.dtype)
        fixed = spec.shape[0]
        if fixed is None or fixed == len(images):
            return dict(zip(names, self._call(names, images), strict=True))
        return self._run_in_pieces(names, images, fixed)

    def _specs(self) -> tuple[TensorSpec, ...]:
        return tuple(_spec(node) for node in self._session.get_inputs())

    def _check_shape(self, images: Array, spec: TensorSpec) -> None:
        fits = images.ndim == len(spec.shape) and all(
            size is None or size == given
            for size, given in zip(spec.shape[1:], images.shape[1:], strict=True)
        )
        if not fits or len(images) == 0:
            raise InvalidInput(
                f"{self.path.name} takes {spec} and was given an array of shape {list(images.shape)}; the "
                "manifest's [input] must describe the graph",
                reason="MODEL_INPUT_MISMATCH",
            )

    def _run_in_pieces(self, names: list[str], images: Array, fixed: int) -> dict[str, Array]:
        pieces: list[list[Array]] = []
        for start in range(0, len(images), fixed):
            piece = images[start : start + fixed]
            count = len(piece)
            if count < fixed:
                piece = np.concatenate([piece, np.repeat(piece[-1:], fixed - count, axis=0)])
            results = self._call(names, piece)
            for name, result in zip(names, results, strict=True):
                if result.ndim == 0 or len(result) != fixed:
                    raise InvalidInput(
                        f"Output {name} of {self.path.name} has shape {list(result.shape)} for a fixed batch of "
                        f"{fixed}, so its rows cannot be assigned to images; run one batch at a time",
                        reason="MODEL_UNFIT",
                    )
            pieces.append([result[:count] for result in results])
        return {
            name: np.concatenate(parts) for name, parts in zip(names, zip(*pieces, strict=True), strict=True)
        }

    def _call(self, names: list[str], images: Array) -> list[Array]:
        try:
            return list(self._session.run(names, {self.inputs[0].name: images}))
        except Exception as error:  # see __init__
            raise LikenessError(
                f"{self.path.name} failed on an input of shape {list(images.shape)}: {error}",
                reason="INFERENCE_FAILED",
            ) from error


def _check_whole(path: Path, data: bytes) -> None:
    """Refuse what is no ONNX file, and a graph with weights in other files, of which its digest says nothing."""
    try:
        elsewhere = takes_external_data(data)
    except Precondition as error:
        raise Precondition(
            f"onnxruntime cannot load {path}: {error.message}.", reason=error.reason
        ) from error
    if elsewhere:
        raise Precondition(
            f"{path} takes weights from other files, which its digest does not cover. Save it again with the "
            "weights inside, for example with onnx.save(onnx.load(FILE), NEW_FILE)",
            reason="MODEL_WITH_EXTERNAL_DATA",
        )


def _open(data: bytes, threads: int, *, steady: bool) -> ort.InferenceSession:
    """Opens a session; `steady` says that every call has the same shapes but for the batch."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _LOG_ERRORS_ONLY
    options.use_deterministic_compute = True
    options.enable_cpu_mem_arena = True
    options.enable_mem_pattern = steady
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
