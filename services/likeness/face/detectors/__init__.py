"""The detector families whose output layout is known; each turns a picture into `Detection`s."""

from __future__ import annotations

from likeness.domain.errors import InvalidInput
from likeness.face.detect import Detector
from likeness.face.detectors.mtcnn import Mtcnn
from likeness.face.detectors.scrfd import Scrfd
from likeness.face.detectors.yunet import YuNet
from likeness.inference.models.catalogue import Catalogue
from likeness.inference.models.manifest import FaceManifest, Family


def load_detector(catalogue: Catalogue, manifest: FaceManifest, threads: int = 1) -> Detector:
    """Loads the detector that a manifest describes.

    Raises:
        InvalidInput: the manifest describes no detector.
        Other errors as `Catalogue.open`.
    """
    match manifest.family:
        case Family.MTCNN:
            return Mtcnn.open(catalogue, manifest, threads)
        case Family.YUNET:
            return YuNet.open(catalogue, manifest, threads)
        case Family.SCRFD:
            return Scrfd.open(catalogue, manifest, threads)
        case _:
            raise InvalidInput(
                f"Model {manifest.id} is of family {manifest.family}, which detects no faces; name a detector.",
                reason="MODEL_UNFIT",
            )
