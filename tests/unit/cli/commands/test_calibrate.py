from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from likeness.cli.commands import calibrate
from likeness.cli.commands.calibrate import read_groups
from likeness.cli.failures import Exit
from likeness.cli.main import app
from likeness.domain.errors import InvalidInput
from likeness.engine.calibrate import load
from likeness.testing.vectors import SPACE, VectorModality


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sixty people with two samples each, and one file that is no sample."""
    monkeypatch.setattr(calibrate, "load", lambda *_, **__: VectorModality(calibrated=False))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))
    rng = np.random.default_rng(5)
    folder = tmp_path / "people"
    for number in range(60):
        centre = rng.normal(size=8)
        (folder / f"p{number:02}").mkdir(parents=True)
        for sample in range(2):
            vector = centre + 0.1 * rng.normal(size=8)
            (folder / f"p{number:02}" / f"{sample}.jpg").write_text(",".join(f"{v:.4f}" for v in vector))
    (folder / "p00" / "2.jpg").write_text("nothing")
    return folder


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["calibrate", *map(str, words)], env={"COLUMNS": "140"})


def test_the_table_is_written_and_can_be_loaded(people: Path) -> None:
    result = run(people, "--id", "test/1", "--about", "made up", "--out", "c.json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    calibration = load(Path("c.json"), space=SPACE)
    digest = hashlib.sha256(Path("c.json").read_bytes()).hexdigest()[:12]
    assert (calibration.calibration_id, calibration.measured_on) == (f"test/1@{digest}", "made up")
    assert report["stranger_pairs"] == calibration.pairs == 60 * 59 // 2
    assert report["mate_pairs"] == 60
    assert [rate["fmr"] for rate in report["rates"]] == [1e-2]
    assert report["rates"][0]["mates_found"] > 0.9
    assert "1 photograph could not be used: 1 NOT_A_VECTOR" in result.stderr


def test_rates_that_the_sample_does_not_support_are_marked(people: Path) -> None:
    shown = run(people, "--table").stdout
    assert shown.count("not measurable") == 3
    assert "no FMR under 5.65e-03 can be measured" in shown


def test_groups_are_reported_by_themselves(people: Path) -> None:
    rows = [f"p{number:02},{'north' if number % 3 else 'south'}" for number in range(60)]
    Path("groups.csv").write_text("\n".join(["subject,group", *rows]))
    groups = json.loads(run(people, "--groups", "groups.csv").stdout)["groups"]
    assert {name: values["subjects"] for name, values in groups.items()} == {"north": 40, "south": 20}
    assert "FMR between strangers of one group" in run(people, "--groups", "groups.csv", "--table").stdout


def test_too_few_people_and_groups_of_others_are_refused(people: Path, tmp_path: Path) -> None:
    few = run(people / "p01")
    assert few.exit_code == Exit.USAGE
    assert "too few" in few.stderr
    Path("groups.csv").write_text("subject,group\nsomeone,north\n")
    assert "correct the column" in run(people, "--groups", "groups.csv").stderr


@pytest.mark.parametrize("content", [b"name,group\na,b\n", b"", b"\xff\xfe\x00"])
def test_a_file_that_is_no_groups_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "groups.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"groups\.csv"):
        read_groups(path)
