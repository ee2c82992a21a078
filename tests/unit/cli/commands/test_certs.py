"""`likeness certs dev`: what it makes serves, and the commands speak to it over mutual TLS."""

from __future__ import annotations

import json
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from likeness.app.access import access_of
from likeness.app.settings import load
from likeness.cli.failures import Exit
from likeness.cli.main import app
from likeness.domain.access import Role
from likeness.testing.composition import LocalComposition
from likeness.testing.server import LocalServer
from likeness.testing.vectors import VectorModality


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made") / "certs"
    done = run("certs", "dev", "--into", made, "--country", "fr", "--entity", "NCB-FR")
    assert done.exit_code == 0, done.output
    return made


def serving(folder: Path) -> LocalServer[LocalComposition]:
    given = {"home": folder.parent / "home", "address": "127.0.0.1:0", "metrics.address": ""}
    settings = load(folder / "likeness.toml", environment={}, overrides=given)
    access = access_of(settings)
    return LocalServer(settings, lambda s: LocalComposition.open(s.home, VectorModality()), access=access)


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with serving(folder) as server:
        yield server.address


def asked(address: str, folder: Path, *, entity: object = "NCB-FR", **options: object) -> Result:
    given = {
        "authority": folder / "authority.crt",
        "certificate": folder / "examiner.crt",
        "key": folder / "examiner.key",
        **options,
    }
    words = [word for name, value in given.items() if value for word in (f"--{name}", value)]
    return run("list", "--server", address, "--entity", entity, "--timeout", 5, "--json", *words)


def test_the_files_are_for_their_owner_alone(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    roles = {f"{role}.{ending}" for role in Role for ending in ("crt", "key")}
    assert names == roles | {"authority.crt", "server.crt", "server.key", "directory.toml", "likeness.toml"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_every_role_has_its_principal_in_the_directory(folder: Path) -> None:
    directory = tomllib.loads((folder / "directory.toml").read_text(encoding="utf-8"))
    assert directory["entities"] == {"NCB-FR": {"bureau": "NCB-FR"}}
    assert directory["bureaus"] == {"NCB-FR": {"country": "fr"}}
    stand_for = {role: "bureaus" if role in {"supervisor", "data_owner"} else "entities" for role in Role}
    assert directory["principals"] == {
        f"spiffe://likeness.test/fr/NCB-FR/{role}": {stand_for[role]: ["NCB-FR"], "roles": [role]}
        for role in Role
    }


def test_a_command_speaks_to_the_server_over_mutual_tls(address: str, folder: Path) -> None:
    done = asked(address, folder)
    assert done.exit_code == 0, done.output


def test_without_a_certificate_a_command_says_why_it_is_not_let_in(address: str, folder: Path) -> None:
    done = asked(address, folder, certificate=None, key=None)
    assert done.exit_code == Exit.UNREACHABLE
    assert "without a certificate" in " ".join(done.output.split())


def test_files_that_do_not_belong_together_are_named_and_no_server_is_missed(
    address: str, folder: Path
) -> None:
    done = asked(address, folder, key=folder / "frontline.key")
    assert done.exit_code == Exit.USAGE
    text = " ".join(done.output.split())
    assert f"{folder}/frontline.key is not the key of the certificate {folder}/examiner.crt" in text
    assert "No server answers" not in text


def test_the_frontline_may_not_list_and_the_refusal_is_on_record(address: str, folder: Path) -> None:
    done = asked(
        address, folder, certificate=folder / "frontline.crt", key=folder / "frontline.key", entity="NCB-FR"
    )
    assert done.exit_code == Exit.REFUSED
    shown = run("audit", "show", "--last", "1", "--json", "--home", folder.parent / "home")
    assert "likeness.test/fr/NCB-FR/frontline" in shown.output
    assert "NOT_PERMITTED" in shown.output


def test_countries_that_are_added_as_it_is_documented_are_served_by_one_server(tmp_path: Path) -> None:
    """Each with an authority of its own, of which all have one name."""
    own, further = tmp_path / "certs", tmp_path / "certs-de"
    run("certs", "dev", "--into", own, "--country", "fr", "--entity", "NCB-FR")
    run("certs", "dev", "--into", further, "--country", "de", "--entity", "NCB-DE")
    for name in ("authority.crt", "directory.toml"):
        with (own / name).open("ab") as file:
            file.write((further / name).read_bytes())
    checked = run("policy", "check", "--config", own / "likeness.toml", "--json")
    assert (json.loads(checked.stdout)["countries"], json.loads(checked.stdout)["entities"]) == (2, 2)
    with serving(own) as server:
        for folder, entity in ((own, "NCB-FR"), (further, "NCB-DE")):
            done = asked(
                server.address,
                own,
                entity=entity,
                certificate=folder / "examiner.crt",
                key=folder / "examiner.key",
            )
            assert done.exit_code == 0, done.output


def test_nobody_speaks_for_another_entity(address: str, folder: Path) -> None:
    assert asked(address, folder, entity="NCB-DE").exit_code == Exit.REFUSED


@pytest.mark.parametrize(
    ("options", "why"),
    [({"key": None}, "give both"), ({"key": "nowhere.key"}, "nowhere.key cannot be read")],
)
def test_a_certificate_that_is_of_no_use_is_refused_before_a_call(
    address: str, folder: Path, options: dict[str, object], why: str
) -> None:
    done = asked(address, folder, **options)
    assert done.exit_code == 2
    assert why in " ".join(done.output.split())


def test_what_is_there_is_not_replaced_unless_that_is_asked_for(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "certs"
    own.mkdir()
    (own / "server.key").write_text("mine")
    assert run("certs", "dev", "--into", own).exit_code != 0
    assert [path.name for path in own.iterdir()] == ["server.key"]
    assert run("certs", "dev", "--into", own, "--replace").exit_code == 0
    assert "PRIVATE KEY" in (own / "server.key").read_text()


def test_an_entity_that_makes_no_name_is_refused(tmp_path: Path) -> None:
    done = run("certs", "dev", "--into", tmp_path / "certs", "--entity", "a/../b")
    assert done.exit_code != 0
    assert not (tmp_path / "certs").exists()
