"""The detector families whose output layout is known; each turns a picture into `Detection`s."""

from __future__ import annotations

from likeness.domain.errors import InvalidInput
from likeness.face.detect import Detector
from likeness.face.detectors.mtcnn import Mtcnn
from likeness.face.detectors.scrfd import Scrfd
from likeness.face.detectors.yunet import YuNet
from likeness.inference.catalogue import Catalogue
from likeness.inference.manifest import Family, Manifest

_FAMILIES: dict[Family, type[Mtcnn] | type[YuNet] | type[Scrfd]] = {
    Family.MTCNN: Mtcnn,
    Family.YUNET: YuNet,
    Family.SCRFD: Scrfd,
}


def load_detector(catalogue: Catalogue, manifest: Manifest, threads: int = 1) -> Detector:
    """The decoder of a manifest's family with its graphs loaded.

    Raises:
        InvalidInput: the manifest describes no detector.
        NotFound, Corrupt, Precondition: see `Catalogue.open`.
    """
    family = _FAMILIES.get(manifest.family)
    if family is None:
        raise InvalidInput(f"Model {manifest.id} is a {manifest.kind}, not a detector", reason="MODEL_UNFIT")
    return family.open(catalogue, manifest, threads)
