"""Names use the words of the field, and none of the dialect that they once were in.

Names are looked at where they are defined, so those of others, as `shutil.which` and `WhichOneof`, may be used.
`SOURCE_NOT_KEPT` is a reason that clients read, so it stays; it is a text, and the generated code is not looked at.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("services", "tests", "benchmarks", "models", "k8s")

FORBIDDEN = {
    "told",
    "untold",
    "said",
    "kept",
    "beside",
    "besides",
    "alike",
    "which",
    "latest",
    "anew",
    "lest",
}
FORMER_OPTIONS = {"--which"}
"""Still accepted, and not shown."""


def sources() -> list[Path]:
    return [
        path
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not {"node_modules", "v1"} & set(path.parts)
    ]


def forbidden(name: str) -> bool:
    """Whether one of the words of a name in snake case, camel case or kebab case is of the dialect."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    return bool(FORBIDDEN & set(words)) or ("the", "one") in pairwise(words)


def defined(tree: ast.AST) -> Iterator[str]:
    """Every name that a module defines, and every option of a command in it."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                if not name.startswith("test_"):
                    yield name
                yield from (
                    word for word in FORBIDDEN if name.startswith("test_") and word in name.split("_")
                )
            case ast.arg(arg=name) | ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case ast.Constant(value=str(text)) if re.fullmatch(r"--[a-z-]+", text):
                yield text


def keys(document: Any) -> Iterator[str]:
    """Every key of a document, however deep."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield key
            yield from keys(value)
    elif isinstance(document, list):
        for value in document:
            yield from keys(value)


@pytest.mark.parametrize(
    "source",
    [
        "def _tell_said(): pass",
        "class ToldApart: pass",
        "def f(*, kept): pass",
        "KEPT_BYTES = 1",
        "self.beside: int = 1",
        "import numpy as alike",
        "for the_one in (): pass",
        "def test_a_thing_is_kept(): pass",
        "option('--latest-only')",
    ],
)
def test_a_name_of_the_dialect_is_seen(source: str) -> None:
    assert any(forbidden(name) for name in defined(ast.parse(source)))


def test_what_others_named_may_be_used() -> None:
    used = "shutil.which(found, path=untouched); message.WhichOneof('how'); asked(which=1)"
    assert not any(forbidden(name) for name in defined(ast.parse(used)))


def test_no_name_is_of_the_dialect() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources()
        if path != Path(__file__)
        for name in defined(ast.parse(path.read_bytes()))
        if forbidden(name) and name not in FORMER_OPTIONS
    }
    assert not found


def test_no_module_is_named_in_the_dialect() -> None:
    assert not [path for path in sources() if any(map(forbidden, path.relative_to(ROOT).parts))]


def test_no_key_of_a_file_of_ours_is_of_the_dialect() -> None:
    files = {path: json.loads(path.read_bytes()) for path in (ROOT / "models").rglob("*.json")}
    files |= {path: tomllib.loads(path.read_text()) for path in (ROOT / "models").rglob("*.toml")}
    assert len(files) > 5
    assert not [
        (path.name, key) for path, document in files.items() for key in keys(document) if forbidden(key)
    ]
