"""`likeness oversight`, against a server with policies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from likeness.app.settings import Settings, load
from likeness.cli.main import app
from likeness.client import LikenessClient, metadata
from likeness.domain.access import Principal
from likeness.testing.composition import LocalComposition
from likeness.testing.server import LocalServer
from likeness.testing.vectors import VectorModality
from tests.unit.access.hub import EXAMINER, OWNER, hub

SAMPLE = b"1,0,0"


class Proven:
    """Whoever is named here is taken as proven."""

    name = OWNER

    def __call__(self, *_: object) -> Principal:
        return Principal(self.name)


Cli = Callable[..., Result]


@pytest.fixture
def proven() -> Proven:
    return Proven()


@pytest.fixture
def served(proven: Proven, tmp_path: Path) -> Iterator[LocalServer[LocalComposition]]:
    access, _ = hub(tmp_path)

    def compose(settings: Settings) -> LocalComposition:
        return LocalComposition.open(settings.home, VectorModality())

    given = {"home": tmp_path / "home", "grpc.address": "127.0.0.1:0", "metrics.address": ""}
    settings = load(environment={}, overrides=given)
    with LocalServer(settings, compose, access=access, prove=proven) as server:
        yield server


@pytest.fixture
def bureau(served: LocalServer[LocalComposition], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs `likeness oversight` in the name of AA-BORDER, whose bureau has AA-POLICE too."""
    for name, value in {"SERVER": served.address, "ENTITY": "AA-BORDER", "STATE": str(tmp_path)}.items():
        monkeypatch.setenv(f"LIKENESS_{name}", value)
    monkeypatch.setenv("COLUMNS", "160")
    return lambda *words: CliRunner().invoke(app, ["oversight", *map(str, words)])


def test_an_entity_is_cut_off_listed_and_resumed(bureau: Cli) -> None:
    done = bureau("suspend", "AA-POLICE", "--reason", "key lost", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert (document["entity"], document["reason"], document["by"]) == ("AA-POLICE", "key lost", OWNER)
    assert document["header"]["audit_position"] == document["audit_position"] == 1
    (row,) = map(json.loads, bureau("suspended", "--json").stdout.splitlines())
    assert row == {name: value for name, value in document.items() if name != "header"}
    table = bureau("suspended", "--table").stdout
    assert "AA-POLICE" in table
    assert "key lost" in table
    assert json.loads(bureau("resume", "AA-POLICE", "--json").stdout)["resumed"] is True
    assert "was not cut off" in bureau("resume", "AA-POLICE", "--table").stdout
    assert bureau("suspended", "--json").stdout == ""


def test_a_refusal_is_one_line_and_an_exit_code(bureau: Cli) -> None:
    refused = bureau("suspend", "BB-POLICE", "--reason", "why")
    assert refused.exit_code == 4, refused.output
    assert "No policy lets" in refused.output
    itself = bureau("suspend", "AA-BORDER", "--reason", "why")
    assert "another entity" in itself.output.replace("\n", " ")
    assert bureau("record", "--reference", "R", "--subject", "S").exit_code == 2


@pytest.fixture
def received(served: LocalServer[LocalComposition], proven: Proven) -> str:
    """A reference of AA-BORDER that BB-POLICE has searched."""
    own: LikenessClient = served.client(entity="AA-BORDER")
    enrolled = own.face.enroll(SAMPLE, metadata=metadata(subject_id="S-1", category="suspect")).reference
    proven.name = EXAMINER
    served.client(entity="BB-POLICE", case_reference="their secret").face.search(SAMPLE)
    proven.name = OWNER
    return enrolled.reference_id


def test_the_record_is_what_an_export_has(
    served: LocalServer[LocalComposition], bureau: Cli, received: str, tmp_path: Path
) -> None:
    done = bureau("record", "--json")
    assert done.exit_code == 0, done.output
    (row,) = map(json.loads, done.stdout.splitlines())
    assert (row["entity"], row["method"], row["reference_id"]) == ("BB-POLICE", "Search", received)
    assert "their secret" not in done.output
    assert received in bureau("record", "--subject", "S-1", "--table").stdout
    assert bureau("record", "--after", row["position"], "--json").stdout == ""
    for option, given in (("--after", "99999"), ("--reference", "nobody")):
        assert f"nothing is on record for {option} {given}. Check" in bureau("record", option, given).stderr
    assert "nothing is on record" not in done.stderr
    served.drain()
    words = ["audit", "export", "--owner", "AA-BORDER", "--home", str(tmp_path / "home")]
    (exported,) = map(json.loads, CliRunner().invoke(app, words).stdout.splitlines())
    for given in (row, exported):
        given["time"] = given["time"].replace("Z", "").replace("+00:00", "")
    assert row == exported
