from likeness.engine import calibrate
from likeness.fingerprint.modality import FingerprintModality
from likeness.inference.concurrency.turns import Turns
from likeness.inference.models.catalogue import shipped_manifests


def test_the_shipped_calibration_belongs_to_the_shipped_models_and_claims_no_more_than_its_sample() -> None:
    modality = FingerprintModality.load(calibration=None, turns=Turns(1))
    found = calibrate.load(
        shipped_manifests() / "fingerprint-fusion" / "calibration.json", space=modality.space.space_id
    )
    written = 0.999  # rates are written with six digits
    assert found.floor >= written * calibrate.MIN_FALSE_MATCHES / found.pairs
    assert (found.lower <= found.fmr).all()
    assert (found.fmr <= found.upper).all()
    assert any(label.startswith("minutiae of the smaller") for label in found.groups)
    FingerprintModality.load(calibration=found, turns=Turns(1))
