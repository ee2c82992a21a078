"""A sealed file of named arrays, and the manifest that vouches for it.

The file is a magic number and then frames, each a little-endian uint32 length and that many sealed bytes. Frame
0 is a JSON header (what the file says of itself, and the name, dtype and shape of each array); the others are
the arrays' bytes in order, at most FRAME_BYTES each. The associated data of a frame holds its number, the number
of frames and the manifest's identity, so frames cannot be left out, repeated, reordered or taken from another
file. The manifest (JSON, written last) holds the file's length and SHA-256 and a digest of itself; both are
checked before anything is unsealed, and everything is unsealed before anything is parsed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from likeness.domain.errors import Corrupt, Exhausted, Unavailable
from likeness.domain.files import sync

FRAME_BYTES = 16 << 20
"""Plaintext in one frame: large enough that sealing costs little, small enough to hold twice in memory."""
_MAGIC = b"LKSNAP1\n"
_LENGTH = struct.Struct("<I")
_VERSION = 1
_MAX_MANIFEST_BYTES = 64 << 10
_MAX_OVERHEAD_BYTES = 4096
"""What a seal may add to a frame: key id, nonce and tag, with room to spare."""
_DTYPES = frozenset({"|b1", "|u1", "|i1", "<i2", "<i4", "<i8", "<f4"})
_REMEDY = "use an older snapshot or rebuild the index from the log"

Arrays = Mapping[str, NDArray[np.generic]]


class Seal(Protocol):
    """Authenticated encryption with associated data, for example AES-256-GCM under a key ring."""

    def seal(self, plaintext: bytes | memoryview, /, *, aad: bytes) -> bytes:
        """Encrypt and authenticate."""

    def unseal(self, sealed: bytes | memoryview, /, *, aad: bytes) -> bytes:
        """Decrypt, or raise `Corrupt` or `WrongKey`."""


@dataclass(frozen=True, slots=True)
class ContainerManifest:
    """What is written about a container in the clear; every field is bound to the container's bytes."""

    name: str
    position: int
    frames: int
    length: int
    sha256: str

    def aad(self, frame: int) -> bytes:
        """The associated data of a frame."""
        return (
            f"frame {frame} of {self.frames} of the snapshot (format {_VERSION}) of {self.name} "
            f"at log position {self.position}"
        ).encode()

    def to_bytes(self) -> bytes:
        """As JSON, with a digest of itself."""
        fields = {
            "version": _VERSION,
            "name": self.name,
            "position": self.position,
            "frames": self.frames,
            "length": self.length,
            "sha256": self.sha256,
        }
        return (json.dumps(fields | {"check": _check(fields)}, indent=1) + "\n").encode()

    @classmethod
    def read(cls, path: Path) -> ContainerManifest:
        """Read and check a manifest.

        Raises:
            Corrupt: it cannot be read, or does not match its own digest.
        """
        try:
            with path.open("rb") as file:
                fields = json.loads(file.read(_MAX_MANIFEST_BYTES))
            check = fields.pop("check")
            if fields["version"] != _VERSION or check != _check(fields):
                raise ValueError
            return cls(
                str(fields["name"]),
                int(fields["position"]),
                int(fields["frames"]),
                int(fields["length"]),
                str(fields["sha256"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Corrupt(
                f"The snapshot manifest {path.name} cannot be read or was changed; {_REMEDY}."
            ) from error


def write(
    path: Path, name: str, position: int, about: Mapping[str, object], arrays: Arrays, seal: Seal
) -> ContainerManifest:
    """Write a container to `path`, which must not exist, and return its manifest; it is durable on return.

    `about` is anything that JSON can hold. Arrays are of bool, uint8, int8, int16, int32, int64 or float32.

    Raises:
        Exhausted: the disk is full; the file is removed.
        Unavailable: the file cannot be written; it is removed.
    """
    ordered = {key: _plain(array) for key, array in arrays.items()}
    table = [[key, array.dtype.str, list(array.shape)] for key, array in ordered.items()]
    header = json.dumps({"about": about, "arrays": table}).encode()
    frames = 1 + sum(math.ceil(array.nbytes / FRAME_BYTES) for array in ordered.values())
    return _write(path, ContainerManifest(name, position, frames, 0, ""), _plaintexts(header, ordered), seal)


def _write(
    path: Path, unsigned: ContainerManifest, plaintexts: Iterable[bytes | memoryview], seal: Seal
) -> ContainerManifest:
    """Write a magic number and a frame for each plaintext; returns the manifest with length and digest."""
    try:
        with path.open("xb") as file:
            path.chmod(0o600)
            digest = hashlib.sha256()
            size = 0
            pieces = [_MAGIC]
            for number, plaintext in enumerate(plaintexts):
                sealed = seal.seal(plaintext, aad=unsigned.aad(number))
                pieces += [_LENGTH.pack(len(sealed)), sealed]
                for piece in pieces:
                    file.write(piece)
                    digest.update(piece)
                    size += len(piece)
                pieces = []
            _sync(file)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _not_written(path, error) from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return replace(unsigned, length=size, sha256=digest.hexdigest())


def reseal(
    path: Path,
    manifest: ContainerManifest,
    partial: Path,
    seal: Seal,
    stop: Callable[[], bool] = lambda: False,
) -> ContainerManifest:
    """Write what a container holds to `partial`, which must not exist, sealed as `seal` seals now.

    Raises:
        Unavailable: `stop`, which is asked before each frame, returned true; no partial file is left.
        Corrupt: it is missing, or not what its manifest vouches for; no partial file is left.
        WrongKey: from the seal.
        Exhausted, Unavailable: as `write`.
    """
    with _checked(path, manifest) as file:
        frames = _until(stop, _frames(file, manifest, seal))
        return _write(partial, replace(manifest, length=0, sha256=""), frames, seal)


def _until(stop: Callable[[], bool], frames: Iterable[bytes]) -> Iterator[bytes]:
    for frame in frames:
        if stop():
            raise Unavailable("The service is being stopped; the snapshot stays as it was.")
        yield frame


def first_sealed(path: Path, size: int) -> bytes:
    """The first bytes of a container's first frame, as it is sealed; fewer or none where there is no whole one."""
    try:
        with path.open("rb") as file:
            file.seek(len(_MAGIC) + _LENGTH.size)
            return file.read(size)
    except OSError:
        return b""


def write_manifest(path: Path, manifest: ContainerManifest) -> None:
    """Write a manifest to a partial file, make it durable and publish it.

    Raises:
        Exhausted, Unavailable: as `write`.
    """
    partial = path.with_suffix(".part")
    try:
        with partial.open("wb") as file:
            partial.chmod(0o600)
            file.write(manifest.to_bytes())
            _sync(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise _not_written(path, error) from error
    publish(partial, path)


def publish(partial: Path, path: Path) -> None:
    """Rename a durable file into its place and make the name durable.

    Raises:
        Exhausted, Unavailable: as `write`.
    """
    try:
        partial.rename(path)
        sync(path.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise _not_written(path, error) from error


def read(
    path: Path, manifest: ContainerManifest, seal: Seal
) -> tuple[dict[str, object], dict[str, NDArray[np.generic]]]:
    """Check a container against its manifest, unseal it and return what it says of itself and its arrays.

    Raises:
        Corrupt: the file is missing, its length or digest differ, or a frame is not what its place calls for.
        WrongKey: from the seal.
    """
    with _checked(path, manifest) as file:
        return _unseal(file, manifest, seal)


@contextmanager
def _checked(path: Path, manifest: ContainerManifest) -> Iterator[IO[bytes]]:
    """The open container, its length and digest those of the manifest."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != manifest.length:
                raise ValueError("its length differs from its manifest's")
            if hashlib.file_digest(file, "sha256").hexdigest() != manifest.sha256:
                raise ValueError("its digest differs from its manifest's")
            file.seek(0)
            yield file
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Corrupt(f"The snapshot {path.name} cannot be used ({error}); {_REMEDY}.") from error


def _unseal(
    file: IO[bytes], manifest: ContainerManifest, seal: Seal
) -> tuple[dict[str, object], dict[str, NDArray[np.generic]]]:
    frames = _frames(file, manifest, seal)
    header = json.loads(next(frames))
    shapes = {str(key): _shape(dtype, shape) for key, dtype, shape in header["arrays"]}
    if sum(math.prod(shape) * dtype.itemsize for dtype, shape in shapes.values()) > manifest.length:
        raise ValueError("its arrays are larger than the file")
    arrays: dict[str, NDArray[np.generic]] = {}
    for key, (dtype, shape) in shapes.items():
        array = np.empty(shape, dtype)
        flat = array.reshape(-1).view(np.uint8)
        for start in range(0, array.nbytes, FRAME_BYTES):
            expected = flat[start : start + FRAME_BYTES]
            plaintext = next(frames, b"")
            if len(plaintext) != len(expected):
                raise ValueError("a frame has the wrong length")
            expected[:] = np.frombuffer(plaintext, np.uint8)
        arrays[key] = array
    if next(frames, None) is not None:
        raise ValueError("it has more frames than its header describes")
    return dict(header["about"]), arrays


def _frames(file: IO[bytes], manifest: ContainerManifest, seal: Seal) -> Iterator[bytes]:
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ValueError("it does not begin with its magic number")
    for number in range(manifest.frames):
        (length,) = _LENGTH.unpack(file.read(_LENGTH.size).ljust(_LENGTH.size, b"\xff"))
        if length > FRAME_BYTES + _MAX_OVERHEAD_BYTES:
            raise ValueError(f"frame {number} is longer than a frame can be")
        yield seal.unseal(file.read(length), aad=manifest.aad(number))
    if file.read(1):
        raise ValueError("bytes follow the last frame")


def _plaintexts(header: bytes, arrays: Arrays) -> Iterator[bytes | memoryview]:
    if len(header) > FRAME_BYTES:
        raise ValueError(
            f"A snapshot header of {len(header)} bytes does not fit one frame; move it into an array."
        )
    yield header
    for array in arrays.values():
        flat = array.reshape(-1).view(np.uint8).data
        for start in range(0, len(flat), FRAME_BYTES):
            yield flat[start : start + FRAME_BYTES]


def _plain(array: NDArray[np.generic]) -> NDArray[np.generic]:
    plain = np.ascontiguousarray(array)
    if plain.dtype.str not in _DTYPES:
        raise ValueError(
            f"A snapshot holds no arrays of {plain.dtype}; convert it to one of {sorted(_DTYPES)}."
        )
    return plain


def _shape(dtype: str, shape: list[int]) -> tuple[np.dtype[np.generic], tuple[int, ...]]:
    if dtype not in _DTYPES or any(type(n) is not int or n < 0 for n in shape):
        raise ValueError("its header names an array of another type or shape than a snapshot holds")
    return np.dtype(dtype), tuple(shape)


def _check(fields: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _not_written(path: Path, error: OSError) -> Exhausted | Unavailable:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Exhausted(
            f"The disk is full and the snapshot {path.name} was not written; free some space.",
            reason="DISK_FULL",
        )
    return Unavailable(
        f"The snapshot {path.name} was not written ({error.strerror}); check the folder and its rights.",
        reason="SNAPSHOT_NOT_WRITTEN",
    )
