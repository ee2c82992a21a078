"""The shipped object modality, loaded once."""

from __future__ import annotations

import pytest

from likeness.inference.threads import ThreadPlan
from likeness.object.modality import ObjectModality


@pytest.fixture(scope="session")
def modality() -> ObjectModality:
    return ObjectModality.load(calibration=None, threads=ThreadPlan(1))
