"""The locked packages are those that the project asks for, each with its digest where an image is made of it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / ".ci" / "locks"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def _pins(name: str) -> dict[str, set[str]]:
    """The versions of each package; more than one where they differ by the version of Python."""
    pins: dict[str, set[str]] = {}
    for package, version in _PIN.findall((LOCKS / name).read_text(encoding="utf-8")):
        pins.setdefault(_plain(package), set()).add(version)
    return pins


def _plain(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def _asked_by(extra: str) -> list[str]:
    """The packages of an extra, and of those that it builds on."""
    asked: list[str] = []
    for line in EXTRAS[extra]:
        requirement = Requirement(line)
        own = requirement.name == PROJECT["name"]
        asked += [one for inner in requirement.extras for one in _asked_by(inner)] if own else [line]
    return asked


@pytest.mark.parametrize(
    ("lock", "extras"), [("server.txt", ("server",)), ("models.txt", ("models",)), ("ci.txt", tuple(EXTRAS))]
)
def test_every_package_that_the_project_asks_for_is_locked(lock: str, extras: tuple[str, ...]) -> None:
    pins = _pins(lock)
    asked = [*PROJECT["dependencies"], *(line for extra in extras for line in _asked_by(extra))]
    for requirement in map(Requirement, asked):
        versions = pins.get(_plain(requirement.name), set())
        assert versions and all(requirement.specifier.contains(version) for version in versions), (
            f"{requirement} is not locked in .ci/locks/{lock}: run `make locks`"
        )


def test_the_image_is_made_of_what_was_tested() -> None:
    tested = _pins("ci.txt")
    for lock in ("server.txt", "models.txt"):
        assert {name: tested.get(name) for name in _pins(lock)} == _pins(lock)


@pytest.mark.parametrize("lock", ["server.txt", "models.txt"])
def test_every_package_of_the_image_has_its_digest(lock: str) -> None:
    text = (LOCKS / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    pinned = [line for line in text.splitlines() if "==" in line]
    assert pinned
    assert all("--hash=sha256:" in line for line in pinned)


@pytest.mark.parametrize("lock", sorted(path.name for path in LOCKS.iterdir()))
def test_no_lock_names_where_packages_come_from(lock: str) -> None:
    assert not re.search(r"://|--(extra-)?index-url|--find-links", (LOCKS / lock).read_text(encoding="utf-8"))
