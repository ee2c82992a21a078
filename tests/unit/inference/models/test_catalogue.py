"""Catalogue: finding manifests, making files, refusing wrong ones."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from likeness.domain.errors import Conflict, Corrupt, InvalidInput, NotFound, Precondition, Unavailable
from likeness.inference.models import catalogue as module
from likeness.inference.models.catalogue import Catalogue, FileState, default_cache, shipped_manifests
from tests.unit.inference.graphs import recogniser, recogniser_toml

CONTENT = b"these bytes stand for a model"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def _built_toml(*, extra: str = "", digest: str = DIGEST) -> str:
    """A manifest without `path`, so that the file belongs in the cache."""
    text = recogniser_toml(changes={"path": ""}, sha256=digest)
    return text.replace('name = "tiny.onnx"', f'name = "tiny.onnx"\n{extra}')


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    folder = tmp_path / "manifests"
    folder.mkdir()
    return folder


def _catalogue(manifests: Path) -> Catalogue:
    return Catalogue([manifests], manifests.parent / "cache")


def _with_script(manifests: Path, script: str, digest: str = DIGEST) -> Catalogue:
    (manifests / "build.py").write_text(script)
    build = '\n[build]\nscript = "build.py"\nentry = "make"\nrequirement = "weights==1"\n'
    (manifests / "tiny.toml").write_text(_built_toml(digest=digest) + build)
    return _catalogue(manifests)


GOOD_SCRIPT = f"""
import dataclasses

@dataclasses.dataclass
class Looked:  # a dataclass looks its module up
    up: int = 1

def make(folder):
    (folder / "tiny.onnx").write_bytes({CONTENT!r})
    (folder / "left-over.txt").write_text("not part of the model")
"""


def test_manifests_of_several_folders_by_id(tmp_path: Path) -> None:
    for folder, name in (("one", "b-model"), ("two", "a-model")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m.toml").write_text(recogniser_toml(name=name))
    found = Catalogue([tmp_path / "one", tmp_path / "two", tmp_path / "absent"], tmp_path / "cache")
    assert [manifest.id for manifest in found.manifests] == ["a-model", "b-model"]
    assert found.get("b-model").origin == tmp_path / "one" / "m.toml"
    assert found.problems == []


def test_an_unknown_id_lists_the_known(manifests: Path) -> None:
    (manifests / "m.toml").write_text(recogniser_toml())
    with pytest.raises(NotFound, match="no model 'other'; known: tiny"):
        _catalogue(manifests).get("other")


def test_a_manifest_may_be_named_by_its_file(manifests: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(recogniser_toml(name="mine"))
    assert _catalogue(manifests).get(str(tmp_path / "mine.toml")).id == "mine"


def test_a_broken_manifest_is_reported_and_hides_no_other(manifests: Path) -> None:
    (manifests / "bad.toml").write_text("schema = ")
    (manifests / "good.toml").write_text(recogniser_toml())
    found = _catalogue(manifests)
    assert [manifest.id for manifest in found.manifests] == ["tiny"]
    (problem,) = found.problems
    assert isinstance(problem, InvalidInput) and "bad.toml" in problem.message


def test_an_id_claimed_twice_is_unusable(manifests: Path) -> None:
    for name in ("a", "b", "c"):
        (manifests / f"{name}.toml").write_text(recogniser_toml())
    found = _catalogue(manifests)
    assert found.manifests == ()
    assert len(found.problems) == 2
    with pytest.raises(Conflict, match="tiny"):
        found.get("tiny")


def test_building_puts_exactly_the_promised_files_into_the_cache(manifests: Path) -> None:
    found = _with_script(manifests, GOOD_SCRIPT)
    manifest = found.get("tiny")
    assert found.state(manifest) is FileState.MISSING
    (path,) = found.build("tiny")
    assert path == found.path(manifest) == manifests.parent / "cache" / "tiny" / "tiny.onnx"
    assert path.read_bytes() == CONTENT
    assert found.state(manifest) is FileState.READY
    assert [p.name for p in found.cache_dir.rglob("*")] == ["tiny", "tiny.onnx"]


def test_what_is_there_and_right_is_not_built_again(manifests: Path) -> None:
    found = _with_script(manifests, GOOD_SCRIPT)
    found.build("tiny")
    (manifests / "build.py").write_text("raise SystemExit('built again')")
    found.build("tiny")


def test_a_damaged_file_is_seen_and_mended(manifests: Path) -> None:
    found = _with_script(manifests, GOOD_SCRIPT)
    (path,) = found.build("tiny")
    path.write_bytes(CONTENT[:-1] + b"!")
    assert found.state(found.get("tiny")) is FileState.DAMAGED
    with pytest.raises(Corrupt, match="Nothing was loaded"):
        found.open(found.get("tiny"))
    found.build("tiny")
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (GOOD_SCRIPT.replace("stand for", "stand four"), "came out with SHA-256"),
        ("def make(folder): pass", r"left no file tiny\.onnx"),
    ],
)
def test_a_build_that_makes_something_else_leaves_the_cache_as_it_was(
    manifests: Path, script: str, problem: str
) -> None:
    found = _with_script(manifests, script)
    old = found.cache_dir / "tiny" / "tiny.onnx"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"old")
    with pytest.raises(Corrupt, match=problem):
        found.build("tiny")
    assert old.read_bytes() == b"old"
    assert [p.name for p in found.cache_dir.iterdir()] == ["tiny"]


def test_a_build_that_fails_leaves_nothing_behind(manifests: Path) -> None:
    found = _with_script(
        manifests, "def make(folder):\n    (folder / 'x').touch()\n    raise OSError('disk full')"
    )
    with pytest.raises(OSError, match="disk full"):
        found.build("tiny")
    assert list(found.cache_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("script", "problem"), [("made = 1", "has no function make"), (None, "build script .* is not there")]
)
def test_a_script_that_cannot_be_used(manifests: Path, script: str | None, problem: str) -> None:
    found = _with_script(manifests, script or "")
    if script is None:
        (manifests / "build.py").unlink()
    with pytest.raises(Precondition, match=problem):
        found.build("tiny")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (recogniser_toml(), "put the file there or correct `path`"),
        (_built_toml(extra='url = "https://models.example/tiny.onnx"'), "likeness models fetch tiny"),
        (_built_toml(), "gives neither path"),
        (_built_toml() + '\n[build]\nscript = "b.py"\nrequirement = "x==1"\n', "likeness models build tiny"),
    ],
)
def test_a_missing_file_names_its_remedy(manifests: Path, text: str, remedy: str) -> None:
    (manifests / "tiny.toml").write_text(text)
    found = _catalogue(manifests)
    with pytest.raises(NotFound, match=remedy):
        found.open(found.get("tiny"))


def test_a_file_next_to_its_manifest_is_opened(manifests: Path) -> None:
    recogniser(manifests / "tiny.onnx")
    text = recogniser_toml(manifests / "tiny.onnx").replace(f'"{manifests}/tiny.onnx"', '"tiny.onnx"')
    (manifests / "tiny.toml").write_text(text)
    found = _catalogue(manifests)
    assert found.open(found.get("tiny")).outputs[0].name == "features"
    with pytest.raises(Precondition, match="not built from a script"):
        (manifests / "tiny.onnx").unlink()
        found.build("tiny")


def test_fetching_checks_the_digest(manifests: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (manifests / "tiny.toml").write_text(_built_toml(extra='url = "https://models.example/tiny.onnx"'))
    answers = [b"tampered with", CONTENT]
    monkeypatch.setattr(module, "_download", lambda _entry, target: target.write_bytes(answers.pop(0)))
    found = _catalogue(manifests)
    with pytest.raises(Corrupt, match="it was not stored"):
        found.fetch("tiny")
    assert found.state(found.get("tiny")) is FileState.MISSING
    (path,) = found.fetch("tiny")
    assert path.read_bytes() == CONTENT


def test_fetching_fails_by_name(manifests: Path) -> None:
    (manifests / "tiny.toml").write_text(_built_toml(extra='url = "https://localhost:1/tiny.onnx"'))
    with pytest.raises(Unavailable, match=r"https://localhost:1/tiny\.onnx could not be fetched"):
        _catalogue(manifests).fetch("tiny")


def test_fetching_needs_an_address(manifests: Path) -> None:
    (manifests / "tiny.toml").write_text(_built_toml())
    with pytest.raises(Precondition, match=r"gives no url for tiny\.onnx"):
        _catalogue(manifests).fetch("tiny")


def test_where_things_are_looked_for(tmp_path: Path) -> None:
    assert shipped_manifests({"LIKENESS_MODELS": "/x"}) == Path("/x")
    assert (shipped_manifests({}) / "face-detect-mtcnn" / "manifest.toml").is_file()
    assert default_cache({"LIKENESS_CACHE": "/c"}) == Path("/c")
    assert default_cache({"XDG_CACHE_HOME": "/x"}) == Path("/x/likeness/models")
    environment = {"LIKENESS_MODELS": "/shipped", "LIKENESS_HOME": "/home", "LIKENESS_CACHE": "/c"}
    assert Catalogue.standard(None, environment).manifest_dirs == (Path("/shipped"), Path("/home/models"))
    assert Catalogue.standard(tmp_path, environment).manifest_dirs == (Path("/shipped"), tmp_path / "models")
