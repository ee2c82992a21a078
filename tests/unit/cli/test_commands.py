"""The commands that speak to a server, against a real one over the test modality."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.main import get_command
from typer.testing import CliRunner

from likeness.cli import documents
from likeness.cli.failures import Exit
from likeness.cli.main import app
from likeness.cli.modality import words_of
from likeness.cli.search_tables import tables
from likeness.domain.samples import Sample
from likeness.imaging.decode import decode
from likeness.transparency.note import Note
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching
from tests.unit.cli.conftest import Cli


def commands(group: Any, *words: str) -> list[str]:
    """Every command by its words, those of groups too."""
    if not hasattr(group, "commands"):
        return [" ".join(words)]
    return [name for word, sub in group.commands.items() for name in commands(sub, *words, word)]


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Four samples of three subjects, one of them unusable; what they hold differs from test to test."""
    salt = abs(hash(request.node.name)) % 1000 / 1e6
    root = tmp_path / "pictures"
    for name, text in {
        "ada/1.jpg": f"1,{salt},0",
        "ada/2.jpg": f"0.9,0.1,{salt}",
        "bob/1.jpg": f"0,1,{salt}",
        "eve/1.jpg": "this is no vector",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def gallery(request: pytest.FixtureRequest) -> str:
    return f"g-{request.node.name[:40]}"


@pytest.fixture
def enrolled(cli: Cli, folder: Path, request: pytest.FixtureRequest) -> str:
    """The folder, enrolled into a gallery of this test."""
    name = gallery(request)
    result = cli("enroll", folder, "-g", name, "--category", "wanted", "--subject-from-folder")
    assert result.exit_code == Exit.PARTLY
    return name


def test_a_folder_is_enrolled_and_the_rest_listed_with_reasons(cli: Cli, folder: Path) -> None:
    result = cli("enroll", folder, "-g", "wanted", "--rejects", "out.jsonl")
    assert result.exit_code == Exit.PARTLY
    (summary,) = lines(result.stdout)
    assert (summary["enrolled"], summary["rejected"], summary["interrupted"]) == (3, 1, False)
    (reject,) = lines(Path("out.jsonl").read_text())
    assert reject["path"].endswith("eve/1.jpg")
    assert reject["reason"] == "NOT_A_VECTOR"
    again = lines(cli("enroll", folder, "-g", "wanted", "--rejects", "out.jsonl").stdout)[0]
    assert (again["enrolled"], again["already_enrolled"], again["rejected"]) == (0, 3, 1)
    every = lines(cli("enroll", folder, "-g", "wanted", "--again").stdout)[0]
    assert (every["enrolled"], every["already_enrolled"], every["rejected"]) == (0, 3, 1)


def test_a_journal_of_another_store_is_noticed(cli: Cli, folder: Path, tmp_path: Path) -> None:
    journal = tmp_path / "j.jsonl"
    cli("enroll", folder, "--journal", journal, "-g", "lost")
    first, *rest = journal.read_text().splitlines()
    entry = json.loads(rest[-1]) | {"reference_id": "00000000-0000-7000-8000-000000000000"}
    journal.write_text("\n".join([first, json.dumps(entry), ""]))
    result = cli("enroll", folder, "--journal", journal, "-g", "lost")
    assert result.exit_code == Exit.REFUSED
    assert "--again" in result.stderr


def test_a_search_answers_in_json_with_rate_and_words(cli: Cli, folder: Path, enrolled: str) -> None:
    result = cli("search", folder / "ada" / "2.jpg", "-g", enrolled)
    assert result.exit_code == 0
    (answer,) = lines(result.stdout)
    first, second, third = answer["answers"][0]["candidates"]
    assert (first["rank"], first["reference"]["subject_id"]) == (1, "ada")
    assert second["reference"]["subject_id"] == "ada"
    assert third["score"]["value"] < second["score"]["value"] <= first["score"]["value"]
    assert first["score"]["fmr"]["measurable"] is False
    assert "not measurable" in first["score"]["fmr"]["in_words"]
    assert answer["header"]["searched"] == 3
    assert answer["header"]["audit_position"] > 0
    assert (answer["header"]["policy"], answer["header"]["insecure"]) == ("", True)
    assert "lead for a person to verify" in answer["notice"]
    assert "%" not in result.stdout.replace("95% bounds", "")


def test_a_search_shows_a_table_per_face(cli: Cli, folder: Path, enrolled: str) -> None:
    two = folder / "two.jpg"
    two.write_text("1,0,0;0,1,0")
    result = cli("search", two, "-g", enrolled, "--table", "-k", "1")
    assert result.exit_code == 0
    assert "two.jpg, face 0" in result.stdout
    assert "two.jpg, face 1" in result.stdout
    assert "ada / " in result.stdout
    assert "bob / 1" in result.stdout
    assert "below 1.0e-03" in result.stdout
    assert "3 references searched" in result.stdout
    assert "%" not in result.stdout.replace("95% bounds", "")
    assert "lead for a person to verify" in result.stderr


@pytest.mark.parametrize(("face", "indices"), [("each", [0, 1]), ("largest", [0]), ("1", [1])])
def test_one_of_several_faces_can_be_searched_with(
    cli: Cli, folder: Path, enrolled: str, face: str, indices: list[int]
) -> None:
    two = folder / "two.jpg"
    two.write_text("1,0,0;0,1,0")
    (answer,) = lines(cli("search", two, "-g", enrolled, "--select", face).stdout)
    assert [a["finding"]["index"] for a in answer["answers"]] == indices


@pytest.mark.parametrize("option", ["--select", "--face", "--which"])
@pytest.mark.parametrize("words", [["search"], ["enroll"], ["compare", "a.jpg"]])
def test_a_face_that_is_none_is_refused(cli: Cli, folder: Path, words: list[str], option: str) -> None:
    result = cli(*words, folder / "ada" / "1.jpg", option, "nicest")
    assert result.exit_code == Exit.USAGE
    assert "an index, or a region" in result.stderr


def test_a_probe_that_cannot_be_used_does_not_stop_the_others(cli: Cli, folder: Path, enrolled: str) -> None:
    result = cli("search", folder, "-g", enrolled)
    assert result.exit_code == Exit.PARTLY
    answers = lines(result.stdout)
    assert len(answers) == 4
    assert answers[3]["rejection"]["reason"] == "NOT_A_VECTOR"
    assert "eve/1.jpg" in result.stderr


def test_a_threshold_leaves_candidates_out(cli: Cli, folder: Path, enrolled: str) -> None:
    found = lines(cli("search", folder / "bob" / "1.jpg", "-g", enrolled, "--max-fmr", "0.01").stdout)[0]
    assert [c["reference"]["subject_id"] for c in found["answers"][0]["candidates"]] == ["bob"]
    result = cli("search", folder / "bob" / "1.jpg", "--max-fmr", "1e-9")
    assert result.exit_code == Exit.REFUSED
    assert "supports no false match rate" in result.stderr


def test_a_contact_sheet_shows_probe_and_candidates(cli: Cli, folder: Path, enrolled: str) -> None:
    result = cli("search", folder / "ada" / "1.jpg", "-g", enrolled, "--sheet", "sheet.png")
    assert result.exit_code == 0
    pixels = decode(Sample(Path("sheet.png").read_bytes()))
    assert pixels.shape[1] > 800
    assert np.ptp(pixels) > 100


def test_a_comparison_says_how_often_strangers_score_as_high(cli: Cli, folder: Path, enrolled: str) -> None:
    listed = lines(cli("list", "-g", enrolled).stdout)
    ada = next(r["reference_id"] for r in listed if r["subject_id"] == "ada")
    result = cli("compare", folder / "ada" / "2.jpg", ada, "--explain", "why.png")
    (answer,) = lines(result.stdout)
    assert answer["score"]["value"] > 0.9
    assert answer["candidate_finding"] is None
    assert Path("why.png").read_bytes().startswith(b"\x89PNG")
    shown = cli("compare", folder / "ada" / "1.jpg", folder / "bob" / "1.jpg", "--table").stdout
    assert "pairs of strangers scores at least this high" in shown
    assert "%" not in shown.replace("95% bounds", "")


def test_a_picture_that_cannot_be_written_costs_no_answer(cli: Cli, folder: Path, enrolled: str) -> None:
    (folder / "file").touch()
    result = cli(
        "compare", folder / "ada/1.jpg", folder / "ada/2.jpg", "--explain", folder / "file" / "pair.png"
    )
    assert result.exit_code == Exit.USAGE
    assert json.loads(result.stdout)["header"]["audit_position"] > 0
    made = cli(
        "compare", folder / "ada/1.jpg", folder / "ada/2.jpg", "--explain", folder / "new" / "pair.png"
    )
    assert made.exit_code == 0
    assert (folder / "new" / "pair.png").exists()


@pytest.mark.parametrize("width", ["80", "110"])
def test_a_table_breaks_no_word(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch, width: str) -> None:
    into = ("-g", f"width-{width}", "--category", "unidentified_remains")
    assert cli("enroll", folder / "ada/1.jpg", *into).exit_code == 0
    monkeypatch.setenv("COLUMNS", width)
    listed = cli("list", *into, "--table").stdout
    found = cli("search", folder / "ada/1.jpg", *into, "--table").stdout
    for shown in (listed, found):
        assert "unidentified" in shown
        assert "remains" in shown
    identifiers = [json.loads(line)["reference_id"] for line in cli("list", *into).stdout.splitlines()]
    assert all(identifier in listed for identifier in identifiers)


@pytest.mark.parametrize("width", ["80", "160"])
def test_what_an_answer_left_out_is_not_shown_as_empty(monkeypatch: pytest.MonkeyPatch, width: str) -> None:
    monkeypatch.setenv("COLUMNS", width)
    long = common.Candidate(rank=2, abridged=True, reference=common.Reference(reference_id="r-2"))
    answer = matching.SearchResponse(answers=[matching.ProbeAnswer(candidates=[long])])
    assert documents.candidate(long, calibrated=True)["abridged"] is True
    console = Console(width=int(width), record=True, file=StringIO())
    console.print(tables("probe.jpg", answer, words_of("face")))
    shown = console.export_text()
    assert "left out, see likeness get" in shown
    assert "unspecified" not in shown


def test_references_are_listed_changed_and_expunged(cli: Cli, folder: Path, enrolled: str) -> None:
    listed = lines(cli("list", "-g", enrolled).stdout)
    assert sorted(r["subject_id"] for r in listed) == ["ada", "ada", "bob"]
    bob = next(r["reference_id"] for r in listed if r["subject_id"] == "bob")
    (changed,) = lines(cli("update", bob, "--status", "suspended", "--owner-reference", "B/7").stdout)
    nothing = cli("update", bob)
    assert (nothing.exit_code, "Nothing is to change" in nothing.stderr) == (Exit.USAGE, True)
    assert (changed["status"], changed["owner_reference"], changed["subject_id"]) == (
        "suspended",
        "B/7",
        "bob",
    )
    assert changed["galleries"] == [enrolled]
    assert len(lines(cli("list", "-g", enrolled, "--status", "active").stdout)) == 2
    assert "B/7" in cli("get", bob, "--table").stdout
    refused = cli("expunge", bob, "--reason", "test")
    assert refused.exit_code == Exit.USAGE
    assert "--yes" in refused.stderr
    (done,) = lines(cli("expunge", bob, "--reason", "test", "--yes").stdout)
    receipt = Note.parse(done["receipt"].encode())
    assert f"reference {bob}\nfree from log position {done['log_position']}\n" in receipt.text
    assert len(receipt.signatures) == 1
    assert lines(cli("get", bob).stdout)[0]["status"] == "expunged"
    gone = lines(cli("search", folder / "bob" / "1.jpg", "-g", enrolled).stdout)[0]
    assert all(c["reference"]["subject_id"] == "ada" for c in gone["answers"][0]["candidates"])


def test_a_list_of_nothing_says_so(cli: Cli, enrolled: str) -> None:
    for form in ("--table", "--json"):
        result = cli("list", "-g", "misspelt", "--status", "active", form)
        assert result.exit_code == 0
        filters = "--modality face, --gallery misspelt, --status active"
        assert f"No reference that this entity may know of matches {filters}." in result.stderr
        assert "No reference" not in cli("list", "-g", enrolled, form).stderr


def test_a_search_of_nothing_names_what_it_was_narrowed_to(cli: Cli, folder: Path, enrolled: str) -> None:
    words = ("search", folder / "ada" / "1.jpg", "-g", enrolled)
    assert "matches" not in cli(*words).stderr
    narrowed = cli(*words, "--owner", "NCB-ZZ", "--category", "stolen")
    assert f"matches --gallery {enrolled}, --owner NCB-ZZ, --category stolen;" in narrowed.stderr


def test_a_limit_of_zero_does_not_lift_the_limit(cli: Cli, folder: Path) -> None:
    result = cli("search", folder / "ada/1.jpg", "--max-fmr=0")
    assert result.exit_code == Exit.USAGE
    assert "--max-fmr is 0" in result.stderr


def test_a_mistyped_file_is_no_reference(cli: Cli, folder: Path) -> None:
    result = cli("compare", folder / "ada/1.jgp", folder / "ada/2.jpg")
    assert result.exit_code == Exit.USAGE
    assert "There is no file" in result.stderr
    assert "ada/1.jgp" in result.stderr


def test_an_empty_file_is_named(cli: Cli, folder: Path) -> None:
    (folder / "empty.jpg").touch()
    result = cli("search", folder / "empty.jpg")
    assert "empty.jpg is empty" in result.stderr


def test_files_that_are_passed_over_are_reported(cli: Cli, folder: Path, enrolled: str) -> None:
    (folder / "phone.heic").touch()
    for words in (["search", folder], ["enroll", folder]):
        assert "1 file with another ending passed over (1 .heic)" in cli(*words).stderr


@pytest.mark.parametrize("command", commands(get_command(app)))
def test_help_is_for_people(command: str) -> None:
    shown = (
        CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "500", "TERM": "dumb"}).stdout
    )
    assert "Raises:" not in shown
    assert "%" not in shown, "a format is no word for a value"
    before_options = shown.partition("╭")[0]
    for line in before_options.splitlines():
        assert line.strip() == "" or line.rstrip().endswith((".", "]", "}", ")")), line


def test_a_list_says_when_there_is_more(cli: Cli, enrolled: str) -> None:
    short = cli("list", "-g", enrolled, "-n", "2", "--table")
    assert "there are more" in short.stderr
    assert "there are more" not in cli("list", "-g", enrolled, "-n", "3", "--table").stderr


def test_an_unknown_reference_is_one_line_without_a_traceback(cli: Cli) -> None:
    result = cli("get", "no-such-reference")
    assert result.exit_code == Exit.REFUSED
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.output
    unknown = cli("expunge", "no-such-reference", "--reason", "x", "--yes")
    assert unknown.exit_code == Exit.PARTLY


def test_no_server_is_reported_with_the_remedy(cli: Cli, folder: Path) -> None:
    result = cli("list", "--server", "127.0.0.1:1", "--timeout", "20")
    assert result.exit_code == Exit.UNREACHABLE
    assert "likeness serve" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("variable", "words", "message"),
    [
        ("LIKENESS_ENTITY", ["list"], "--entity"),
        ("LIKENESS_PURPOSE", ["search", "x.jpg"], "--purpose"),
    ],
)
def test_who_asks_and_why_must_be_given(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, variable: str, words: list[str], message: str
) -> None:
    monkeypatch.delenv(variable)
    result = cli(*words)
    assert result.exit_code == Exit.USAGE
    assert message in result.stderr


def test_a_hit_names_the_owner_to_contact(cli: Cli, folder: Path, enrolled: str) -> None:
    listed = lines(cli("list", "-g", enrolled).stdout)
    ids = [reference["reference_id"] for reference in listed]
    cli("update", ids[0], "--disclose", "hit", "--permit", "purpose:system_test")
    cli("update", ids[1], "--disclose", "candidate", "--deny", "country:XX", "--deny", "entity:NCB-ZZ")
    cli("update", ids[1], "--deny", "country:")
    limits = lines(cli("get", ids[1]).stdout)[0]["restrictions"]
    assert (limits["denied_entities"], limits["denied_countries"]) == (["NCB-ZZ"], [])
    probe = folder / "ada" / "1.jpg"
    (answer,) = lines(cli("search", probe, "-g", enrolled, "--entity", "NCB-YY").stdout)
    assert answer["answers"][0]["hits"] == [{"owner": "NCB-XX", "modality": "face"}]
    found = {c["reference"]["reference_id"]: c["reference"] for c in answer["answers"][0]["candidates"]}
    assert set(found) == set(ids[1:])
    assert set(found[ids[1]]) == {"reference_id", "modality", "level", "owner", "category"}
    table = cli("search", probe, "-g", enrolled, "--entity", "NCB-YY", "--table").stdout
    assert "NCB-XX holds a reference that resembles the probe: contact it" in table
    assert "not shown" in cli("list", "-g", enrolled, "--entity", "NCB-YY", "--table").stdout


def test_a_limit_of_no_known_kind_is_refused(cli: Cli) -> None:
    for words in (["--deny", "purpose:system_test"], ["--permit", "NCB-AA"], ["--deny", "city:Paris"]):
        result = cli("update", "some-id", *words)
        assert result.exit_code == Exit.USAGE
        assert "a colon and a name" in result.stderr


def test_limits_are_enrolled_with_every_file(cli: Cli, folder: Path, request: pytest.FixtureRequest) -> None:
    cli("enroll", folder / "ada", "-g", gallery(request), "--permit", "group:PRUM", "--disclose", "full")
    for reference in lines(cli("list", "-g", gallery(request)).stdout):
        limits = reference["restrictions"]
        assert (limits["permitted_groups"], limits["disclosure"]) == (["PRUM"], "full")


def test_a_search_of_the_frontline_shows_no_scores(cli: Cli, folder: Path, enrolled: str) -> None:
    words = ("search", folder / "ada" / "1.jpg", "-g", enrolled, "--frontline")
    (answer,) = lines(cli(*words).stdout)
    candidates = answer["answers"][0]["candidates"]
    assert candidates
    assert not any("score" in candidate or "expected_false" in candidate for candidate in candidates)
    assert answer["header"]["max_fmr"] == 0.001
    table = cli(*words, "--table").stdout
    assert "Score" not in table
    assert "  HIT\n" in table
    assert "frontline profile; false match rate of 0.001 or less" in table
    assert cli(*words, "--sheet", "sheet.png").exit_code == 0
    assert cli(*words, "--exhaustive").exit_code == Exit.USAGE
