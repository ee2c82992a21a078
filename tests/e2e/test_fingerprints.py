"""Finger minutiae records through a server process and the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from likeness.fingerprint.formats import Standard, write
from likeness.fingerprint.synthesis import impressions, record_of
from tests.e2e.conftest import Run

pytestmark = [pytest.mark.models, pytest.mark.slow]

FINGERS = 12
SEED = 41
WORDS = ("-m", "fingerprint")


@pytest.fixture
def fingers(tmp_path: Path) -> Path:
    """`enrol/N.fmr` and `probe/N.fmr`: two impressions of each finger."""
    for number, both in enumerate(impressions(FINGERS, 2, SEED)):
        for folder, one in zip(("enrol", "probe"), both, strict=True):
            path = tmp_path / folder / f"{number:02d}.fmr"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(write(record_of(one, 2), Standard.ISO_2005))
    return tmp_path


def test_fingers_are_found_by_another_impression_in_either_profile(run: Run, fingers: Path) -> None:
    code, (summary,), stderr = run("enroll", fingers / "enrol", *WORDS, "-g", "fingers")
    assert (code, summary["enrolled"]) == (0, FINGERS), stderr
    for profile in ((), ("--exhaustive",)):
        code, answers, stderr = run("search", fingers / "probe", *WORDS, "-g", "fingers", "-k", 1, *profile)
        assert code == 0, stderr
        found = [a["answers"][0]["candidates"][0]["reference"]["owner_reference"] for a in answers]
        hits = sum(name == f"{number:02d}" for number, name in enumerate(found))
        assert hits >= FINGERS - 1, found


def test_a_comparison_is_explained_by_picture_and_parts(run: Run, fingers: Path, tmp_path: Path) -> None:
    pair = (fingers / "enrol" / "00.fmr", fingers / "probe" / "00.fmr")
    code, (answer,), stderr = run("compare", *pair, *WORDS, "--explain", "pair.png")
    assert code == 0, stderr
    assert (tmp_path / "pair.png").read_bytes().startswith(b"\x89PNG")
    _, (other,), _ = run("compare", pair[0], fingers / "probe" / "01.fmr", *WORDS)
    assert answer["score"]["value"] > other["score"]["value"]
    assert answer["score"]["parts"]["paired_minutiae"] >= 5


def test_a_photograph_is_no_record_and_the_refusal_says_where(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.fmr").write_bytes(b"FMR\0 20\0" + bytes(3))
    code, answers, stderr = run("search", tmp_path / "bad.fmr", *WORDS)
    assert code == 1, (answers, stderr)
    assert "byte" in stderr
