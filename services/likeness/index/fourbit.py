"""Four bits for every two dimensions: the codes that a search shortlists from, read from end to end.

Each vector is rotated at random (so that no pair of dimensions carries more than its share) and cut into pairs
of dimensions, each coded as one of 16 centroids; a search adds up table entries held in vector registers, 32
vectors at a time. See Jégou et al., "Product quantization for nearest neighbor search" (IEEE TPAMI 33(1), 2011)
and André et al., "Quicker ADC" (IEEE TPAMI 43(5), 2021); faiss calls it fast scan.

Codes are fitted for Euclidean distance, whose error shrinks towards the probe; with the inner product it grows
with the offset that all vectors share, and face embeddings share one. So that distance ranks as the inner product
does, a vector x gets one more component, sqrt(r^2 - |x|^2) for the largest norm r, and a probe gets 0 (Bachrach
et al., "Speeding up the Xbox recommender system", RecSys 2014). For L2-normalised vectors that component is 0.

Rows are stored in one inverted list because only faiss's IVF form of fast scan takes a selector of allowed rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from likeness.index.rows import Mask
from likeness.index.scan import Vectors, one_thread

_BITS = 4
CENTROIDS = 1 << _BITS
"""Centroids for each pair of dimensions; codes are fitted to at least so many vectors."""
_PAIR = 2
_ROTATION_SEED = 7


class FourBit:
    """The codes of n vectors. Sealed once filled, but for `erase`."""

    def __init__(self, rotation: Vectors, radius: float) -> None:
        """`rotation` float32 [D, d + 1] with orthonormal columns, D even; `radius` the largest norm, r above."""
        self._rotation = rotation
        self.radius = radius
        inner, outer = rotation.shape
        self._turn: Any = faiss.LinearTransform(outer, inner, False)
        faiss.copy_array_to_vector(rotation.reshape(-1), self._turn.A)
        self._turn.is_trained = True
        self._only_list = faiss.IndexFlatL2(inner)
        self._only_list.add(np.zeros((1, inner), np.float32))
        self._index: Any = faiss.IndexIVFPQFastScan(
            self._only_list, inner, 1, inner // _PAIR, _BITS, faiss.METRIC_L2
        )
        self._index.by_residual = False
        self._packer = self._index.get_CodePacker()

    @classmethod
    def train(cls, sample: Vectors, radius: float) -> FourBit:
        """Codes fitted to a sample [s, d], s at least CENTROIDS, of vectors whose norm is at most `radius`."""
        one_thread()
        outer = sample.shape[1] + 1
        random = faiss.RandomRotationMatrix(outer, outer + outer % _PAIR)
        random.init(_ROTATION_SEED)
        made = cls(faiss.vector_to_array(random.A).reshape(random.d_out, outer).copy(), radius)
        made._index.pq.cp.min_points_per_centroid = 1  # a small sample is no fault here, and no news
        made._index.train(made._turned(sample, _lift(sample, radius)))
        return made

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def nbytes(self) -> int:
        """Memory of the codes and of the position stored with each."""
        return self._blocks().nbytes + 8 * len(self)

    def add(self, vectors: Vectors) -> None:
        """Code vectors [m, d] at the next positions."""
        one_thread()
        self._index.add(self._turned(vectors, _lift(vectors, self.radius)))

    def nearest(self, queries: Vectors, depth: int, allowed: Mask | None) -> NDArray[np.int64]:
        """The `depth` positions that look best for each query, best first: int64 [q, depth], padded with -1."""
        one_thread()
        turned = self._turned(queries, np.zeros((len(queries), 1), np.float32))
        parameters: Any = faiss.SearchParametersIVF()
        parameters.nprobe = 1
        if allowed is not None:
            bits = np.packbits(allowed, bitorder="little")
            selector = faiss.IDSelectorBitmap(len(allowed), faiss.swig_ptr(bits))
            parameters.sel = selector
        positions: NDArray[np.int64] = self._index.search(turned, depth, params=parameters)[1]
        return positions

    def erase(self, position: int) -> None:
        """Overwrite one code with zeros."""
        block, offset = divmod(position, self._packer.nvec)
        self._packer.pack_1(
            np.zeros(self._packer.code_size, np.uint8), offset, self._blocks()[block : block + 1]
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """What `restored` makes the codes from. The codes are copied: faiss owns the memory they are in."""
        return {
            "rotation": self._rotation,
            "centroids": faiss.vector_to_array(self._index.pq.centroids),
            "codes": self._blocks().copy(),
        }

    @classmethod
    def restored(cls, arrays: Mapping[str, NDArray[Any]], count: int, radius: float) -> FourBit:
        """The codes that `state` described, for `count` vectors; raises ValueError where it describes none."""
        rotation, centroids, codes = (arrays[name] for name in ("rotation", "centroids", "codes"))
        if rotation.dtype != np.float32 or rotation.ndim != 2 or rotation.shape[0] % _PAIR:
            raise ValueError("a rotation has the wrong shape or type")
        made = cls(rotation, radius)
        index: Any = made._index
        if centroids.dtype != np.float32 or centroids.shape != (CENTROIDS * rotation.shape[0],):
            raise ValueError("the centroids have the wrong shape or type")
        shape = (-(-count // made._packer.nvec), made._packer.block_size)
        if codes.dtype != np.uint8 or codes.shape != shape:
            raise ValueError("the codes have the wrong shape or type")
        faiss.copy_array_to_vector(centroids, index.pq.centroids)
        index.is_trained = True
        lists = faiss.downcast_InvertedLists(index.invlists)
        lists.resize(0, count)
        faiss.rev_swig_ptr(lists.get_ids(0), count)[:] = np.arange(count)
        index.ntotal = count
        made._blocks()[:] = codes
        return made

    def _turned(self, vectors: Vectors, lift: Vectors) -> Vectors:
        turned: Vectors = self._turn.apply(np.concatenate([vectors, lift], axis=1))
        return turned

    def _blocks(self) -> NDArray[np.uint8]:
        """The code memory itself, uint8 [blocks, bytes per block]."""
        count = -(-len(self) // self._packer.nvec)
        size = self._packer.block_size
        if not count:
            return np.zeros((0, size), np.uint8)
        lists: Any = faiss.downcast_InvertedLists(self._index.invlists)
        memory: NDArray[np.uint8] = faiss.rev_swig_ptr(lists.get_codes(0), count * size)
        return memory.reshape(count, size)


def _lift(vectors: Vectors, radius: float) -> Vectors:
    """The component that brings each vector [n, d] to the norm `radius`: float32 [n, 1]."""
    squares = np.einsum("nd,nd->n", vectors, vectors)
    lift: Vectors = np.sqrt(np.maximum(np.float32(radius**2) - squares, 0))
    return lift[:, None]
