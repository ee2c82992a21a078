"""How SQLite writes what the tables and queries of a store say in common terms."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateTable

from likeness.store.backend import unindexed
from likeness.store.schema import BY_KEY, Number


@compiles(Number, "sqlite")
def _number(element: Number, compiler: Any, **options: Any) -> str:  # noqa: ARG001
    """SQLite's INTEGER has 64 bits, and by that name alone does a primary key become the number of its row."""
    return "INTEGER"


@compiles(CreateTable, "sqlite")
def _create_table(element: CreateTable, compiler: Any, **options: Any) -> str:
    """A table that is held in the order of its key has no other row number (WITHOUT ROWID)."""
    if element.element.info.get(BY_KEY):
        element.element.dialect_options["sqlite"]["with_rowid"] = False
    return str(compiler.visit_create_table(element, **options))


@compiles(unindexed, "sqlite")
def _unindexed(element: unindexed, compiler: Any, **options: Any) -> str:
    """With a unary "+": https://www.sqlite.org/optoverview.html."""
    return f"+{compiler.process(element.clauses, **options)}"
