"""Finds the principal axes and the words of `object-codebook/codebook.npz` from photographs.

    python object_codebook.py --images images.zip --out models/object-codebook/codebook.npz --seed 7

Needs the product with its own dependencies alone. A sample of RootSIFT descriptors is projected onto its first
axes, which are then scaled equally (not whitened: the distance stays that of RootSIFT), and clustered by k-means.
"""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

import cv2
import faiss
import numpy as np

from likeness.object.local import raw

DIMENSION = 48
WORDS = 4096
SPREAD = 40.0  # codes for one standard deviation of the first axis


def main() -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True, help="zip of photographs")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=3000, help="photographs that are sampled")
    parser.add_argument("--words", type=int, default=WORDS)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    found = []
    with zipfile.ZipFile(options.images) as images:
        names = sorted(name for name in images.namelist() if not name.endswith("/"))
        for name in random.permutation(names)[: options.count]:
            image = cv2.imdecode(np.frombuffer(images.read(str(name)), np.uint8), cv2.IMREAD_COLOR)
            if image is not None:
                found.append(raw(np.ascontiguousarray(image[:, :, ::-1]))[0])
    descriptors = np.concatenate(found)
    mean = descriptors.mean(0)
    _, _, rows = np.linalg.svd(np.cov((descriptors - mean).T))
    axes = np.ascontiguousarray(rows[:DIMENSION].T, dtype=np.float32)
    projected = np.asarray((descriptors - mean) @ axes, np.float32)
    steps = SPREAD / float(projected[:, 0].std())
    codes = np.clip(np.rint(projected * steps + 128), 0, 255).astype(np.float32)
    sample = codes[random.permutation(len(codes))[: 40 * options.words]]
    kmeans = faiss.Kmeans(
        DIMENSION, options.words, niter=8, seed=options.seed, verbose=True, max_points_per_centroid=40
    )
    kmeans.train(np.ascontiguousarray(sample))
    words = np.clip(np.rint(np.asarray(kmeans.centroids, np.float32)), 0, 255).astype(np.uint8)
    np.savez_compressed(
        options.out, mean=mean.astype(np.float32), axes=axes, words=words, steps=np.float32(steps)
    )
    print(
        f"{len(descriptors):,} descriptors of {len(found):,} photographs; {options.out.stat().st_size:,} bytes"
    )


if __name__ == "__main__":
    main()
