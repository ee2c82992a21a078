"""One package knows SQLite, and one module chooses it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import likeness

SERVICES = Path(likeness.__file__).parent
BACKEND = SERVICES / "store" / "sqlite"
CHOICE = SERVICES / "store" / "choice.py"
ITS_WORDS = re.compile("sqlite|pragma", re.I)


def words_in_code(tree: ast.AST) -> Iterator[str]:
    """Names, imports and texts; prose in docstrings is none of them."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in prose:
                yield text
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                yield name
            case ast.ImportFrom(module=str(name)) | ast.keyword(arg=str(name)):
                yield name


def test_no_code_but_the_backends_names_sqlite() -> None:
    found = {
        path.relative_to(SERVICES): word
        for path in SERVICES.rglob("*.py")
        if BACKEND not in path.parents and path != CHOICE
        for word in words_in_code(ast.parse(path.read_text("utf-8")))
        if ITS_WORDS.search(word)
    }
    assert found == {}


def test_the_choice_imports_the_backend_and_nothing_of_its_inside() -> None:
    named = [word for word in words_in_code(ast.parse(CHOICE.read_text("utf-8"))) if ITS_WORDS.search(word)]
    assert sorted(named) == ["SQLite", "SQLite", "likeness.store.sqlite.backend"]


def test_the_words_of_code_are_found() -> None:
    code = '"""sqlite"""\nimport sqlite3 as db\ndb.sqlite_version\nrun("PRAGMA x", sqlite_y=1)\nsqlite = f"sqlite:///{db}"'
    found = [word for word in words_in_code(ast.parse(code)) if ITS_WORDS.search(word)]
    assert sorted(found) == ["PRAGMA x", "sqlite", "sqlite3", "sqlite:///", "sqlite_version", "sqlite_y"]
