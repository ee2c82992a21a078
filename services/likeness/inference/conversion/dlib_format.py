"""Reads the layers of a network that dlib serialised.

The format, from dlib's own sources (dlib/serialize.h, dlib/float_details.h, dlib/dnn/{core,layers,tensor}.h):

- an integer is one byte, bit 7 its sign and the low four bits the count of little-endian magnitude bytes that
  follow;
- a floating-point number is two integers, mantissa and exponent to the base 2;
- a string is its length as an integer, then its bytes; a boolean is the character 0 or 1;
- a tensor is an integer version (2), four integers (samples, channels, rows, columns) and raw little-endian
  float32 values; an alias tensor is an integer version (1) and four integers;
- a network is the chain of its layers' version numbers from the loss inwards to the input, then the input
  layer, then the layers' own data from the input outwards. Every computing layer is followed by three booleans
  and three tensors of training state, all empty in a cleaned network; tags and skips leave nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from likeness.domain.errors import Corrupt

FloatArray = npt.NDArray[np.float32]

_MAX_INTEGER_BYTES = 8
_MAX_NAME = 64  # characters in a layer's name
_MAX_LAYERS = 1000
_STATE_FLAGS = 3
_STATE_TENSORS = 3

_WINDOW = ("rows", "columns", "stride_y", "stride_x", "padding_y", "padding_x")


@dataclass(frozen=True)
class Layer:
    """One computing layer: dlib's name for it, its integer settings and its weights as one flat array."""

    name: str
    settings: dict[str, int] = field(default_factory=dict)
    parameters: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))


@dataclass(frozen=True)
class Network:
    """The input layer's means (red, green, blue) and side, and the computing layers from input to output."""

    means: tuple[float, float, float]
    height: int
    width: int
    layers: list[Layer]


class _Reader:
    """A cursor over the bytes; every read checks that the bytes are there."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at == len(self._data)

    def fail(self, what: str) -> Corrupt:
        return Corrupt(
            f"The dlib network is damaged or of an unknown kind: {what} near byte {self._at}",
            reason="WEIGHTS_CORRUPT",
        )

    def take(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise self.fail(f"{count} bytes wanted, the file ends")
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken

    def integer(self) -> int:
        head = self.take(1)[0]
        count = head & 0x0F
        if not 1 <= count <= _MAX_INTEGER_BYTES or head & 0x70:
            raise self.fail(f"{head:#x} does not begin an integer")
        magnitude = int.from_bytes(self.take(count), "little")
        return -magnitude if head & 0x80 else magnitude

    def expect(self, value: int) -> None:
        if (found := self.integer()) != value:
            raise self.fail(f"{found} where {value} belongs")

    def real(self) -> float:
        mantissa = self.integer()
        return float(mantissa) * 2.0 ** self.integer()

    def name(self) -> str:
        length = self.integer()
        if not 0 < length <= _MAX_NAME:
            raise self.fail(f"a name of {length} characters")
        raw = self.take(length)
        if not raw.isascii():
            raise self.fail("a name that is not ASCII")
        return raw.decode("ascii")

    def expect_name(self, name: str) -> None:
        if (found := self.name()) != name:
            raise self.fail(f"{found!r} where {name!r} belongs")

    def flags(self, count: int) -> None:
        if set(self.take(count)) - set(b"01"):
            raise self.fail("a boolean that is neither 0 nor 1")

    def tensor(self) -> FloatArray:
        self.expect(2)
        shape = [self.integer() for _ in range(4)]
        if min(shape) < 0:
            raise self.fail(f"a tensor of shape {shape}")
        size = int(np.prod(shape, dtype=object))
        return np.frombuffer(self.take(4 * size), "<f4").astype(np.float32)

    def aliases(self, count: int) -> None:
        for _ in range(count):
            self.expect(1)
            for _ in range(4):
                self.integer()

    def settings(self, *names: str) -> dict[str, int]:
        return {name: self.integer() for name in names}

    def reals(self, count: int) -> list[float]:
        return [self.real() for _ in range(count)]


def _read_layer(reader: _Reader) -> Layer:
    name = reader.name()
    parameters = np.zeros(0, np.float32)
    settings: dict[str, int] = {}
    match name:
        case "con_4":
            parameters = reader.tensor()
            settings = reader.settings("filters", *_WINDOW)
            reader.aliases(2)
            reader.reals(4)  # learning rate and weight decay, of weights and bias
        case "affine_":
            parameters = reader.tensor()
            reader.aliases(2)
            settings = reader.settings("mode")
        case "fc_2":
            settings = reader.settings("outputs", "inputs")
            parameters = reader.tensor()
            reader.aliases(2)
            settings |= reader.settings("bias_mode")
            reader.reals(4)  # as above
        case "max_pool_2" | "avg_pool_2":
            settings = reader.settings(*_WINDOW)
        case "relu_" | "add_prev_":
            pass
        case _:
            raise reader.fail(f"layer kind {name!r}")
    reader.flags(_STATE_FLAGS)
    for _ in range(_STATE_TENSORS):
        reader.tensor()
    return Layer(name, settings, parameters)


def read_network(path: Path) -> Network:
    """Reads a metric-learning network whose input is an RGB image of fixed size.

    Raises:
        Corrupt: the bytes are not such a network, or are followed by more bytes.
    """
    reader = _Reader(path.read_bytes())
    reader.expect(1)
    reader.expect_name("loss_metric_2")
    reader.reals(2)  # margin and distance threshold of the loss
    for _ in range(_MAX_LAYERS):
        version = reader.integer()
        if version == 3:  # the layer that holds the input layer
            break
        if version not in (1, 2):
            raise reader.fail(f"layer version {version}")
    reader.expect_name("input_rgb_image_sized")
    red, green, blue = reader.reals(3)
    height, width = reader.integer(), reader.integer()
    layers = [_read_layer(reader)]
    reader.expect(1)  # sample expansion factor, used by the layer next to the input alone
    while not reader.at_end:
        layers.append(_read_layer(reader))
        if len(layers) > _MAX_LAYERS:
            raise reader.fail(f"more than {_MAX_LAYERS} layers")
    return Network((red, green, blue), height, width, layers)
