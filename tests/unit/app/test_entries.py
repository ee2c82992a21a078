"""The entries of the registry: each brings the calibration that it promises, or says why not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from likeness.app.registry import ENTRIES, entry_of
from likeness.app.settings import load
from likeness.domain.errors import Corrupt, InvalidInput
from likeness.engine.entry import ModalityEntry
from likeness.inference.models import sums
from likeness.protocol import SERVICES


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what is shipped, in its place."""
    copy = Path(shutil.copytree(sums.packaged(), tmp_path / "models"))
    monkeypatch.setenv("LIKENESS_MODELS", str(copy))
    return copy


def test_every_entry_has_a_service_of_its_name_and_the_other_way_round() -> None:
    assert [entry.name for entry in ENTRIES] == [service.modality for service in SERVICES]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_shipped_calibration_that_is_missing_is_an_error(
    entry: ModalityEntry[Any, Any], release: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    assert entry.calibration(entry.settings(), home) is not None
    for file in release.glob(f"{entry.name}*/calibration*.json"):
        file.unlink()
    with pytest.raises(Corrupt, match="missing, although it is shipped") as caught:
        entry.calibration(entry.settings(), home)
    assert caught.value.reason == "SHIPPED_FILE_CHANGED"


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_calibration_of_the_owners_that_is_missing_is_named(
    entry: ModalityEntry[Any, Any], tmp_path: Path
) -> None:
    settings = load(environment={}, overrides={f"{entry.name}.calibration": tmp_path / "mine.json"})
    with pytest.raises(InvalidInput, match=r"no calibration at .*mine\.json"):
        entry.calibration(settings.of(entry), tmp_path)


def test_an_entry_is_found_by_its_name_and_nothing_else() -> None:
    assert [entry_of(entry.name) for entry in ENTRIES] == list(ENTRIES)
    with pytest.raises(KeyError):
        entry_of("iris")


def test_the_registry_is_read_without_what_loads_modalities() -> None:
    heavy = ("numba", "onnxruntime", "faiss", "cv2")
    program = f"import sys, likeness.app.settings; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
