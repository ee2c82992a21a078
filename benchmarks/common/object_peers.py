"""What the object search is compared with: two perceptual hashes and a plain aggregate of local descriptors.

PDQ is Meta's (`pdqhash`), pHash that of `imagehash`; both compare 256 and 64 bits by Hamming distance. SIFT-VLAD is
the textbook's (Jegou et al., CVPR 2010; Arandjelovic and Zisserman, CVPR 2013): the 500 strongest SIFT keypoints of
OpenCV's settings, RootSIFT, 64 centres, residuals normalised by centre, signed square roots, L2.
"""

from __future__ import annotations

from collections.abc import Sequence

import faiss
import imagehash
import numpy as np
import pdqhash
from numpy.typing import NDArray
from PIL import Image

from likeness.imaging.opencv import cv2

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

CENTRES = 64
KEYPOINTS = 500
NEXT = 3
"""References after the best, by whose mean a score is normalised. So many neighbours are taken, with weight 1, in
the evaluation of SSCD (Pizzi et al., CVPR 2022, equation 8), there from a set apart. Both SIFT-VLAD and our
embedding gain by it over 10 or 20."""


def pdq(image: Pixels) -> Floats:
    """256 bits as -1 and 1, divided so that the inner product of equal ones is 1."""
    bits, _ = pdqhash.compute(image)
    return ((2.0 * np.asarray(bits, np.float32) - 1.0) / 16.0).astype(np.float32)


def phash(image: Pixels) -> Floats:
    """64 bits, as those of `pdq`."""
    bits = imagehash.phash(Image.fromarray(image)).hash.reshape(-1)
    return np.asarray((2.0 * bits - 1.0) / 8.0, np.float32)


class Vlad:
    """Aggregates of local descriptors over centres learnt from some photographs."""

    def __init__(self, photographs: Sequence[Pixels], seed: int) -> None:
        found = np.concatenate([_root_sift(image) for image in photographs])
        kmeans = faiss.Kmeans(128, CENTRES, niter=15, seed=seed, max_points_per_centroid=500)
        kmeans.train(np.ascontiguousarray(found))
        self._centres = np.asarray(kmeans.centroids, np.float32)

    def of(self, image: Pixels) -> Floats:
        """float32 [64 * 128] of length 1; zeros for a photograph without details."""
        found = _root_sift(image)
        made = np.zeros_like(self._centres)
        if len(found):
            nearest = (found @ self._centres.T - 0.5 * (self._centres**2).sum(1)).argmax(1)
            np.add.at(made, nearest, found - self._centres[nearest])
        made /= np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-9)
        flat = np.sign(made) * np.sqrt(np.abs(made))
        return np.asarray(flat.reshape(-1) / max(float(np.linalg.norm(flat)), 1e-9), np.float32)


def _root_sift(image: Pixels) -> Floats:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    _, found = cv2.SIFT.create(nfeatures=KEYPOINTS).detectAndCompute(grey, None)
    if found is None:
        return np.zeros((0, 128), np.float32)
    return np.asarray(np.sqrt(found / np.maximum(found.sum(1, keepdims=True), 1e-9)), np.float32)


def normalised(scores: Floats) -> Floats:
    """Scores float32 [n] of one probe with all references, above the mean of those that follow the best."""
    following = np.sort(scores)[::-1][1 : NEXT + 1]
    return np.asarray(scores - (following.mean() if len(following) else 0.0), np.float32)
