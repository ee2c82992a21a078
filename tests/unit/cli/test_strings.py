"""Strings of the operating system, of other authorities and of old records: they are sent, shown and written."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from likeness.cli import rejects
from likeness.cli.failures import Exit
from likeness.cli.journal import find_references
from likeness.cli.modality import words_of
from likeness.cli.output import Output
from likeness.cli.rejects import Reject
from likeness.cli.search_tables import tables
from likeness.domain.text import unprintable_at
from likeness.rpc.convert.texts import with_printable_texts
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching
from tests.unit.cli.conftest import Cli

NOT_UTF8 = b"gr\xfc\xdf".decode("utf-8", "surrogateescape")
ESCAPED = "gr\\xfc\\xdf"


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """`likeness` in a process of its own, as a shell starts it."""
    command = [sys.executable, "-m", "likeness.cli", *words]
    return subprocess.run(
        [os.fsencode(word) for word in command],
        env=os.environ | environment,
        capture_output=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder and files whose names are not UTF-8, or hold a newline and an escape sequence; one is no sample."""
    salt = abs(hash(request.node.name)) % 1000 / 1e6
    root = tmp_path / "pictures"
    for number, name in enumerate(
        [f"{NOT_UTF8}/1.jpg", f"ada/{NOT_UTF8}.jpg", "ada/a\n\x1b[31mb.jpg", "ada/plain.jpg"]
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"1,{salt},{number}")
    (root / f"ada/{NOT_UTF8}-bad.jpg").write_text("this is no vector")
    return root


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_any_name_of_file_and_folder_is_enrolled(cli: Cli, folder: Path, ending: str) -> None:
    words = ["enroll", folder, "-g", f"names-{ending}", "--subject-from-folder", "--rejects", f"bad.{ending}"]
    first = cli(*words, "--salt", ending)
    assert first.exit_code == Exit.PARTLY, first.output
    assert json.loads(first.stdout)["enrolled"] == 4
    again = json.loads(cli(*words, "--salt", ending).stdout)
    assert (again["already_enrolled"], again["rejected"]) == (4, 1)
    listed = [json.loads(line) for line in cli("list", "-g", f"names-{ending}").stdout.splitlines()]
    assert {(r["subject_id"], r["owner_reference"]) for r in listed} == {
        (ESCAPED, "1"),
        ("ada", ESCAPED),
        ("ada", "a\\n\\x1b[31mb"),
        ("ada", "plain"),
    }
    found = find_references(next(Path("state").rglob("*.jsonl")), [r["reference_id"] for r in listed])
    assert sorted(entry.path for entry in found.values()) == sorted(
        str(path.resolve()) for path in folder.rglob("*.jpg") if "bad" not in path.name
    )
    if ending == "jsonl":
        (row,) = [json.loads(line) for line in Path("bad.jsonl").read_text(encoding="utf-8").splitlines()]
        assert row["path"] == str(folder / f"ada/{NOT_UTF8}-bad.jpg")
    else:
        with Path("bad.csv").open(encoding="utf-8", newline="") as file:
            (row,) = csv.DictReader(file)
        assert row["path"].endswith(f"ada/{ESCAPED}-bad.jpg")


@pytest.mark.parametrize(
    "words",
    [
        ["enroll", "FOLDER", "-g", NOT_UTF8],
        ["enroll", "FOLDER", "--subject", NOT_UTF8],
        ["enroll", "FOLDER", "--notice", NOT_UTF8],
        ["enroll", "FOLDER", "--override", NOT_UTF8],
        ["enroll", "FOLDER", "--salt", NOT_UTF8],
        ["search", "FOLDER", "-g", NOT_UTF8],
        ["search", "FOLDER", "--owner", NOT_UTF8],
        ["list", "--entity", NOT_UTF8],
        ["list", "--case", NOT_UTF8],
        ["list", "--operator", NOT_UTF8],
        ["list", "--server", NOT_UTF8],
        ["get", NOT_UTF8],
        ["expunge", "r", "--yes", "--reason", NOT_UTF8],
        ["update", "r", "--subject", NOT_UTF8],
        ["update", "r", "--owner-reference", "a\x1b[31m"],
        ["compare", NOT_UTF8, "r"],
        ["config", "show", "--set", f"home={NOT_UTF8}"],
    ],
)
def test_an_option_that_cannot_be_sent_is_refused_in_one_line(
    cli: Cli, folder: Path, words: list[str]
) -> None:
    result = cli(*[folder if word == "FOLDER" else word for word in words])
    assert result.exit_code == Exit.USAGE
    assert result.stderr.startswith("error: ")
    assert unprintable_at(result.stderr.strip()) is None
    assert "Traceback" not in result.output


@pytest.mark.parametrize("name", ["ENTITY", "CASE", "OPERATOR", "SERVER"])
def test_a_variable_that_cannot_be_sent_is_refused_with_the_option(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"LIKENESS_{name}", NOT_UTF8)
    result = cli("list")
    assert result.exit_code == Exit.USAGE
    assert f"--{name.lower()} holds byte 0xFC at position 3" in result.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("form", ["--json", "--table"])
def test_a_terminal_that_cannot_encode_is_shown_escapes(
    cli: Cli, folder: Path, encoding: str, form: str
) -> None:
    gallery = f"enc-{encoding}-{form[2:]}"
    assert (
        cli("enroll", folder / "ada", "-g", gallery, "--subject", "Ж-Müller", "--salt", gallery).exit_code
        == Exit.PARTLY
    )
    done = run("search", str(folder / "ada"), "-g", gallery, form, PYTHONIOENCODING=encoding, LC_ALL="C")
    assert done.returncode == Exit.PARTLY
    assert b"Traceback" not in done.stderr
    assert ESCAPED.encode() in done.stderr
    if form == "--json":
        answers = [json.loads(line) for line in done.stdout.decode("ascii").splitlines()]
        assert answers[0]["answers"][0]["candidates"][0]["reference"]["subject_id"] == "Ж-Müller"
        assert any(NOT_UTF8 in answer["probe"] for answer in answers)
    else:
        assert b"\\u0416-M" in done.stdout


def test_the_texts_of_another_authority_draw_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    forged = "x\n   1  mallory  wanted  0.999 strong  1e-09\x1b[2A\x9b31m\u202e[red]b[/red]:cat:"
    response = matching.SearchResponse(header=common.AnswerHeader(calibration="c", searched=1, model=forged))
    candidate = response.answers.add().candidates.add(rank=1)
    candidate.reference.reference_id = "r-1"
    metadata = candidate.reference.metadata
    metadata.subject_id = metadata.owner_reference = forged
    metadata.notices.append(forged)
    metadata.attributes[forged] = forged
    output = Output(as_json=False)
    output.answer({}, tables("probe.jpg", with_printable_texts(response), words_of("face")))
    # What reaches the terminal without being replaced before: shown as escapes all the same.
    output.answer({}, forged.replace("\n", ""))
    shown = capsys.readouterr().out
    assert all(unprintable_at(line) is None for line in shown.splitlines())
    assert "[red]b[/red]:cat:" in shown
    assert [line[:4] for line in shown.splitlines() if line[:4].strip().isdecimal()] == ["   1"]
    Output(as_json=True).answer({"subject_id": forged}, "")
    line = capsys.readouterr().out.rstrip("\n")
    assert unprintable_at(line) is None
    assert json.loads(line)["subject_id"] == forged


def test_every_run_has_a_rejects_file_of_its_own(cli: Cli, folder: Path) -> None:
    for number, name in enumerate(["bad.csv", "bad-2.csv", "bad-3.csv"]):
        result = cli("enroll", folder, "-g", f"own-{number}", "--rejects", "bad.csv")
        assert json.loads(result.stdout)["rejects"] == name
        assert f"; {name} says why" in result.stderr
    assert (
        len({Path(name).read_text(encoding="utf-8") for name in ("bad.csv", "bad-2.csv", "bad-3.csv")}) == 1
    )
    assert sorted(path.name for path in Path().glob("bad*")) == ["bad-2.csv", "bad-3.csv", "bad.csv"]


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("mine")
    written = rejects.write(tmp_path / "r.csv", [Reject("a", "R", "m")])
    assert written == tmp_path / "r-2.csv"
    assert (tmp_path / "r.csv").read_text() == "mine"
