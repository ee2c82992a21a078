"""What every benchmark shares: its flags, its rows, the table it prints and the JSON it writes."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure: of what (a system, a kind, a configuration), which metric, its value and unit.

    `unit` is empty for a plain number. `note` says what a reader must know to judge the figure (the sample
    size, the bar it is held against).
    """

    what: str
    metric: str
    value: float
    unit: str = ""
    note: str = ""


def parser(description: str) -> argparse.ArgumentParser:
    """An argument parser with the flags that every benchmark takes: --data, --seed and --json."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--data", type=Path, metavar="FOLDER", help="measure on the data in this folder")
    made.add_argument("--seed", type=int, default=0, help="seed of everything drawn at random (default 0)")
    made.add_argument("--json", type=Path, metavar="FILE", help="write every figure to this file as well")
    return made


def print_table(
    title: str, rows: Sequence[Row], *, console: Console | None = None, by_what: bool | None = None
) -> None:
    """Print the rows with what was measured side by side.

    One line per `what` and one column per metric, or the other way round where `by_what` is False or, if it is
    None, where there are more metrics than things measured. Notes follow the table.
    """
    whats = list(dict.fromkeys(row.what for row in rows))
    metrics = list(dict.fromkeys(_label(row) for row in rows))
    cells = {(row.what, _label(row)): _figure(row.value) for row in rows}
    if by_what is None:
        by_what = len(whats) >= len(metrics)
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for head in metrics if by_what else whats:
        table.add_column(escape(head), justify="right")
    for line in whats if by_what else metrics:
        across = [(line, m) for m in metrics] if by_what else [(w, line) for w in whats]
        table.add_row(escape(line), *(cells.get(key, "") for key in across))
    out = console or Console()
    out.print(table)
    for row in rows:
        if row.note:
            out.print(f"  {row.what}, {row.metric}: {row.note}", highlight=False, markup=False)


def write_json(path: Path, rows: Iterable[Row]) -> None:
    """Write the rows as a list of objects with the keys what, metric, value and unit."""
    listed = [{"what": r.what, "metric": r.metric, "value": r.value, "unit": r.unit} for r in rows]
    path.write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")


def finish(title: str, rows: Sequence[Row], arguments: argparse.Namespace) -> None:
    """Print the table and, where --json asked for it, write the file."""
    print_table(title, rows)
    if arguments.json is not None:
        write_json(arguments.json, rows)


def _label(row: Row) -> str:
    return f"{row.metric} [{row.unit}]" if row.unit else row.metric


def _figure(value: float) -> str:
    """Four significant digits; whole numbers in full; very small rates in scientific notation."""
    if math.isnan(value):
        return "-"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if 0 < abs(value) < 1e-3:
        return f"{value:.2e}"
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
