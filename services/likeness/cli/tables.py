"""The one look of tables."""

from __future__ import annotations

from rich.table import Table

ROOMY = 110
"""Columns of a terminal from which a reference fits on one line, its identifier whole."""


def plain_table(*heads: str, whole: tuple[str, ...] = (), right: tuple[str, ...] = ()) -> Table:
    """A table without lines.

    Args:
        heads: the columns' headings.
        whole: columns whose cells must not be cut or wrapped, because people copy them.
        right: columns of numbers.
    """
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for head in heads:
        table.add_column(
            head, no_wrap=head in whole, justify="right" if head in right else "left", overflow="fold"
        )
    return table
