"""The shipped object modality, loaded once."""

from __future__ import annotations

import pytest

from likeness.inference.concurrency.turns import Turns
from likeness.object.modality import ObjectModality


@pytest.fixture(scope="session")
def modality() -> ObjectModality:
    return ObjectModality.load(calibration=None, turns=Turns(1))
