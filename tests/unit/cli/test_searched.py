"""What a search says to a caller who may see hits alone, of some or of all references."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from likeness.cli.failures import Exit
from likeness.cli.searched import is_partial
from likeness.domain.access import Asked, Grant, Level
from likeness.domain.references import Facets
from likeness.v1 import common_pb2 as common
from tests.unit.cli.conftest import run

FRONTLINE = ("--entity", "NCB-YY")
ABROAD = ("--entity", "NCB-ZZ")


@dataclass(frozen=True)
class Shown:
    """To the owner all, to NCB-ZZ candidates, to others hits."""

    entity: str

    def level(self, facets: Facets) -> Level:
        if facets.owner == self.entity:
            return Level.FULL
        return Level.CANDIDATE if self.entity == "NCB-ZZ" else Level.HIT


class Judge:
    policy = "c0ffee"

    def judge(self, asked: Asked) -> Grant:
        principal = replace(asked.principal, name="spiffe://hub/frontline")
        return Grant(disclosure=Shown(asked.caller.entity), principal=principal, policy=self.policy)


@pytest.fixture
def folder(serve: Callable[..., None], tmp_path: Path) -> Path:
    """One sample of each of two persons, the first enrolled for a gallery of another entity."""
    serve(Judge())
    (tmp_path / "ada.jpg").write_text("1,0")
    (tmp_path / "bob.jpg").write_text("0,1")
    run("enroll", tmp_path / "ada.jpg", "-g", "wanted")
    return tmp_path


def test_a_hit_is_answered_without_a_word_on_galleries_or_a_partial_answer(folder: Path) -> None:
    words = ("search", folder / "ada.jpg", "-g", "wanted", *FRONTLINE)
    table = run(*words, "--table", "--sheet", "sheet.png")
    assert table.exit_code == Exit.DONE
    assert "NCB-XX holds a reference that resembles the probe" in table.stdout
    assert "searched for hits alone (how many references took part is not shown)" in table.stdout
    for wrong in ("PARTIAL", "0 references", "no candidate", "no hit"):
        assert wrong not in table.stdout
    assert "A hit is a reason to ask its owner, not an identification." in table.stderr
    for wrong in ("A candidate is", "gallery", "spelt", "likeness list"):
        assert wrong not in table.stderr
    answer = json.loads(run(*words).stdout)
    assert answer["notice"].endswith("A hit is a reason to ask its owner, not an identification.")
    header = answer["header"]
    assert (header["partial"], header["policy"], header["insecure"]) == (False, "c0ffee", False)


@pytest.mark.parametrize("columns", ["80", "160"])
def test_of_a_candidate_abroad_the_table_says_whom_to_contact(
    folder: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert "NCB-XX" in run("search", folder / "ada.jpg", *ABROAD, "--table").stdout
    own = run("search", folder / "ada.jpg", "--table").stdout
    assert "1 reference searched" in own
    assert "NCB-XX" not in own


def test_an_answer_without_hits_says_so(folder: Path) -> None:
    words = ("search", folder / "bob.jpg", "-g", "wanted", *FRONTLINE)
    table = run(*words, "--table")
    assert "  no hit\n" in table.stdout
    assert "PARTIAL" not in table.stdout
    assert "There was no hit. Of what is in gallery wanted, if there is such a gallery, this" in table.stderr
    assert "warning" not in table.stderr
    assert "not an identification" not in table.stderr
    everywhere = run("search", folder / "bob.jpg", *FRONTLINE)
    assert "There was no hit. Of all that is enrolled, if there is anything, this" in everywhere.stderr
    narrowed = run("search", folder / "bob.jpg", "--owner", "NCB-XX", *FRONTLINE)
    assert "Of what matches --owner NCB-XX, if there is anything, this entity" in narrowed.stderr


def test_of_several_galleries_the_source_of_hits_is_left_open(folder: Path) -> None:
    galleries = ("-g", "wanted", "-g", "wnated")
    found = run("search", folder / "ada.jpg", *galleries, *FRONTLINE)
    assert "Of what is in gallery wanted or wnated this entity may see hits alone: from which" in found.stderr
    assert (
        "gallery wnated, if there is such a gallery" in run("search", folder / "ada.jpg", *galleries).stderr
    )


def test_what_is_counted_is_distinguished_from_what_was_searched_for_hits(folder: Path) -> None:
    run("enroll", folder / "bob.jpg", "-g", "wanted", *FRONTLINE)
    table = run("search", folder / "ada.jpg", *FRONTLINE, "--table").stdout
    assert "1 reference searched (others for hits alone, not counted);" in table


@pytest.mark.parametrize(
    ("header", "galleries", "partial"),
    [
        (common.AnswerHeader(coverage=1.0), [], False),
        (common.AnswerHeader(coverage=0.5), ["a"], True),
        (common.AnswerHeader(coverage=0.0, unknown_galleries=["a"]), ["a", "a"], False),
        (common.AnswerHeader(coverage=0.0, unknown_galleries=["a"]), ["a", "b"], True),
        (common.AnswerHeader(coverage=0.0), [], True),
    ],
)
def test_an_answer_is_partial_where_something_took_no_part(
    header: common.AnswerHeader, galleries: list[str], partial: bool
) -> None:
    assert is_partial(header, galleries) is partial
