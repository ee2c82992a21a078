"""Everything that is shipped in models/: manifests that parse, build to the promised bytes and pass their test."""

from __future__ import annotations

import pytest

from likeness.inference.models.catalogue import Catalogue, FileState, shipped_manifests
from likeness.inference.models.manifest import ModelKind
from likeness.inference.onboarding.selftest import verify

IDS = [
    "face-detect-mtcnn",
    "face-embed-dlib-resnet29",
    "face-embed-dlib-resnet29-int8",
    "fingerprint-embed",
    "object-embed",
]


def test_the_manifests_are_these_and_sound() -> None:
    catalogue = Catalogue([shipped_manifests()], shipped_manifests() / "no-cache")
    assert catalogue.problems == []
    assert [manifest.id for manifest in catalogue.manifests] == IDS


def test_no_two_models_share_a_template_space() -> None:
    catalogue = Catalogue([shipped_manifests()], shipped_manifests() / "no-cache")
    spaces = [m.template_space for m in catalogue.manifests if m.kind is not ModelKind.DETECTOR]
    assert len(set(spaces)) == len(spaces) == 4


@pytest.mark.models
@pytest.mark.parametrize("model_id", IDS)
def test_built_models_verify(built: Catalogue, model_id: str) -> None:
    manifest = built.get(model_id)
    assert built.state(manifest) is FileState.READY
    verify(built, manifest)
