"""The doubles of `likeness.testing` by themselves; what they stand for is tested by all that uses them."""

from __future__ import annotations

from pathlib import Path

import pytest

from likeness.app.settings import load
from likeness.domain.samples import Mode, Sample
from likeness.testing.composition import LocalComposition
from likeness.testing.server import LocalServer
from likeness.testing.vectors import DIMENSION, VectorModality


@pytest.mark.parametrize("text", ["a face", ",".join("1" * (DIMENSION + 1))])
def test_what_is_no_vector_is_rejected(text: str) -> None:
    (extraction,) = VectorModality().extract([Sample(text.encode())], Mode.ENROL)
    assert extraction.rejection is not None
    assert extraction.rejection.reason == "NOT_A_VECTOR"


def test_engines_are_closed_with_their_store(tmp_path: Path) -> None:
    composition = LocalComposition.open(tmp_path, VectorModality(), VectorModality(name="object"))
    assert sorted(composition.engines) == ["face", "object"]
    composition.close()
    assert composition.closed.is_set()
    LocalComposition.open(tmp_path, VectorModality()).close()  # its lock is free again


def test_a_server_tells_what_it_serves_once_it_is_built(tmp_path: Path) -> None:
    settings = load(environment={}, overrides={"home": tmp_path, "grpc.address": "127.0.0.1:0"})
    server = LocalServer(settings, lambda given: LocalComposition.open(given.home, VectorModality()))
    with pytest.raises(RuntimeError, match="start it first"):
        _ = server.composition
    with server:
        reference = server.client().face.enroll(b"1,0").reference
        assert server.composition.engines["face"].modality_name == "face"
        assert server.client().face.get(reference.reference_id).reference_id == reference.reference_id
    assert server.composition.closed.is_set()
