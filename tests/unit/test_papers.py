"""What the papers name is there: files, headings, settings, metrics, reasons."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from likeness.access.directory import read_directory
from likeness.app.setting_names import OTHER_VARIABLES
from likeness.app.settings import load
from likeness.cli.main import app
from likeness.domain.errors import LikenessError
from tests.commands import ROOT, documents, fences
from tests.k8s.known_metrics import product_metrics

PAPERS = documents()
OF_THE_TESTS = {"LIKENESS_FAULT_ROUNDS"}
"""Variables that a test reads, and the product does not."""

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
_PATH = re.compile(r"(?:services|protos|models|benchmarks|tests|k8s|docs)/[\w./-]*")
_SETTING = re.compile(r"\bLIKENESS_[A-Z_]*[A-Z]\b")
_METRIC = re.compile(r"\blikeness_[a-z_]+[a-z]\b(?!/|\.|-)")


def _text(paper: Path) -> str:
    return paper.read_text(encoding="utf-8")


def _anchors(paper: Path) -> set[str]:
    """The anchors of its headings, as a forge makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", _text(paper)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _name(paper: Path) -> str:
    return str(paper.relative_to(ROOT))


@pytest.mark.parametrize("paper", PAPERS, ids=_name)
def test_links_lead_somewhere(paper: Path) -> None:
    for link in _LINK.findall(_FENCE.sub("", _text(paper))):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        found = (paper.parent / target).resolve() if target else paper
        assert found.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in _anchors(found), f"{link}: there is no such heading"


@pytest.mark.parametrize("paper", PAPERS, ids=_name)
def test_files_that_are_named_exist(paper: Path) -> None:
    for code in _CODE.findall(_FENCE.sub("", _text(paper))):
        if _PATH.fullmatch(code):
            assert (ROOT / code).exists() or (paper.parent / code).exists(), f"there is no {code}"


@pytest.mark.parametrize("paper", PAPERS, ids=_name)
def test_settings_that_are_named_exist(paper: Path) -> None:
    for name in sorted(set(_SETTING.findall(_text(paper))) - OTHER_VARIABLES - OF_THE_TESTS):
        try:
            load(environment={name: "?"})
        except LikenessError as error:
            assert error.reason != "UNKNOWN_SETTING", f"there is no {name}"


def test_the_settings_file_that_is_shown_can_be_read(tmp_path: Path) -> None:
    first, over_tls, directory, cases, bureau = fences(ROOT / "docs" / "operations.md", "toml")
    assert given_by(first, tmp_path) == {"modalities", "grpc.workers", "store.key_ring", "face.assistant"}
    assert given_by(over_tls, tmp_path) >= {
        "grpc.address",
        "tls.trust_domain",
        "access.directory",
        "token.keys",
    }
    assert read_directory(f"{directory}\n{bureau}".encode(), "the directory of the paper").principals
    (tmp_path / "directory.toml").write_text(directory, encoding="utf-8")
    (tmp_path / "cases.toml").write_text(cases, encoding="utf-8")
    words = ["policy", "test", tmp_path / "cases.toml", "--directory", tmp_path / "directory.toml"]
    tried = CliRunner().invoke(app, list(map(str, words)))
    assert tried.exit_code == 0, tried.output


def test_the_user_of_the_service_may_write_where_the_recipe_has_home_and_key_ring() -> None:
    (unit,) = (text for text in fences(ROOT / "docs" / "operations.md", "ini") if "[Service]" in text)
    lines = [line.partition("=")[::2] for line in unit.splitlines()]
    variables = dict(value.split("=", 1) for name, value in lines if name == "Environment")
    writable = [f"/var/lib/{name}" for name in dict(lines)["StateDirectory"].split()]
    assert dict(lines)["ProtectSystem"] == "strict"
    assert variables["LIKENESS_HOME"] in writable
    assert str(Path(variables["LIKENESS_STORE_KEY_RING"]).parent) in writable


def given_by(text: str, folder: Path) -> set[str]:
    """The settings that a settings file gives."""
    file = folder / "likeness.toml"
    file.write_text(text, encoding="utf-8")
    settings = load(file, environment={})
    return {name for name, origin in settings.origins.items() if origin == str(file)}


@pytest.mark.parametrize("paper", PAPERS, ids=_name)
def test_metrics_that_are_named_exist(paper: Path) -> None:
    named = {name for code in _CODE.findall(_text(paper)) for name in _METRIC.findall(code)}
    named = {name for name in named if not name.startswith("likeness_search")}  # the distribution
    assert named <= product_metrics()


def test_the_reasons_are_those_of_the_code() -> None:
    script = ROOT / "docs" / "reasons.py"
    done = subprocess.run([sys.executable, str(script), "--check"], check=False)
    assert done.returncode == 0, "run `python docs/reasons.py`"
