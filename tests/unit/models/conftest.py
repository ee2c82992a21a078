"""The shipped models, built once per test run from the installed weight packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from likeness.domain.errors import Precondition
from likeness.inference.models.catalogue import Catalogue, shipped_manifests


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """Every shipped model, built from its weights into an empty cache."""
    catalogue = Catalogue([shipped_manifests()], tmp_path_factory.mktemp("models"))
    assert not catalogue.problems
    for manifest in catalogue.manifests:
        try:
            catalogue.build(manifest.id)
        except Precondition as error:
            if error.reason in {"WEIGHTS_PACKAGE_MISSING", "ONNX_PACKAGE_MISSING"}:
                pytest.skip(error.message)
            raise
    return catalogue


@pytest.fixture
def shared_faces() -> Path:
    """The evaluation photographs next to the checkout."""
    folder = Path(__file__).resolve().parents[4] / "shared" / "data" / "faces"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    return folder
