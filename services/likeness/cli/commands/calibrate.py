"""`likeness calibrate`: measure how strangers score, so that a score can be reported as a false match rate."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from likeness.app.loading import load
from likeness.app.registry import entry_of
from likeness.app.setting_names import variable_of
from likeness.cli import files
from likeness.cli.caller import MODALITY
from likeness.cli.files import SampleFile
from likeness.cli.modality import DEFAULT
from likeness.cli.options import AsJson
from likeness.cli.output import Output, note, plain_table, progress, warn
from likeness.cli.settings_options import ConfigFile, Home, Set, settings_from
from likeness.cli.words import one_in, plural
from likeness.domain.calibration import Calibration
from likeness.domain.errors import InvalidInput, LikenessError
from likeness.domain.modality import Modality
from likeness.domain.rounding import rounded_down, rounded_up
from likeness.domain.samples import Mode, Pick, Sample, Selection, Template
from likeness.domain.text import printable
from likeness.engine.calibrate import REPORTED_RATES, Report, measure, save
from likeness.face.entry import ENTRY as FACE
from likeness.inference.concurrency.threads import plan_threads
from likeness.inference.concurrency.turns import Turns

MAX_GROUP_ROWS = 1_000_000


class Face(StrEnum):
    """Which of several faces shows the person that the folder is named for."""

    CENTRAL = "central"
    LARGEST = "largest"


_PICKS = {Face.LARGEST: Pick.MOST_PROMINENT, Face.CENTRAL: Pick.MOST_CENTRAL}


def calibrate(
    folder: Annotated[
        Path, typer.Argument(help="Photographs or records: one folder for each person, finger or object.")
    ],
    *,
    modality: MODALITY = DEFAULT,
    groups: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the columns subject and group: also report each group by itself.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where the table is written, JSON. Default: calibration-ID.json here.", show_default=False
        ),
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            "--id", help="Its name, stated in every answer. Default: folder and day.", show_default=False
        ),
    ] = "",
    about: Annotated[
        str,
        typer.Option(
            help="What the sample is, in a sentence, for whoever reads the table.", show_default=False
        ),
    ] = "",
    face: Annotated[Face, typer.Option(help="Of several faces in a photograph.")] = Face.CENTRAL,
    config: ConfigFile = None,
    home: Home = None,
    single: Set = None,
    as_json: AsJson = None,
) -> None:
    """Measure the false match rate of every score with the models in use, on samples of known people or objects.

    The table goes down to the rate that the sample supports and no further. Its people, fingers or objects must be
    strangers to each other, one folder each (of fingerprints: one folder for each finger), and like those that will
    be searched: a rate measured on one group of people, or one sensor, does not hold for another.
    """
    settings = settings_from(config, home, single)
    entry = entry_of(modality)
    words = entry.words
    subjects = files.by_folder(files.find([folder], words))
    labels = read_groups(groups) if groups is not None else {}
    turns = Turns(plan_threads(settings.threads))
    engine = load(entry, settings, turns, calibrated=False)
    selection = Selection(_PICKS[face]) if entry is FACE else Selection()
    templates, refused = extract(engine, subjects, selection, turns.count)
    if refused:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in refused.most_common())
        warn(f"{plural(refused.total(), words.sample)} could not be used: {reasons}")
    if labels and not labels.keys() & templates.keys():
        raise InvalidInput(f"No subject in {groups} is the name of a folder in {folder}; correct the column.")
    name = name or f"{printable(folder.resolve().name)}-{datetime.now(UTC):%Y-%m-%d}"
    report = measure(
        engine,
        templates,
        calibration_id=name,
        measured_on=about
        or f"{len(templates)} subjects of {printable(folder.resolve().name)}, {engine.model}",
        groups=labels or None,
    )
    path = out or Path(f"calibration-{name.replace('/', '-')}.json")
    save(report.calibration, path)
    Output(as_json).answer(_document(report, path), _shown(report))
    setting = f"{entry.name}.calibration"
    note(f"written to {path}; use it with --set {setting}={path} or {variable_of(setting)}")


def extract(
    modality: Modality, subjects: Mapping[str, Sequence[SampleFile]], selection: Selection, workers: int
) -> tuple[dict[str, list[Template]], Counter[str]]:
    """The templates of every subject, in the order of their files, and how many files were refused by reason."""
    order = [(subject, file) for subject, found in subjects.items() for file in found]
    templates: dict[str, list[Template]] = {}
    refused: Counter[str] = Counter()

    def one(file: SampleFile) -> tuple[Template | None, str]:
        try:
            sample = Sample(files.read(file.path), name=file.name, selection=selection)
        except (LikenessError, OSError):
            return None, "UNREADABLE_FILE"
        extraction = modality.extract([sample], Mode.PROBE)[0]
        if extraction.rejection is not None:
            return None, extraction.rejection.reason
        if len(extraction.findings) != 1:
            return None, "SEVERAL_PRESENTATIONS"
        return extraction.findings[0].template, ""

    with progress("reading", len(order)) as step, ThreadPoolExecutor(workers) as pool:
        for (subject, _), (template, reason) in zip(
            order, pool.map(one, (file for _, file in order)), strict=True
        ):
            if template is None:
                refused[reason] += 1
            else:
                templates.setdefault(subject, []).append(template)
            step(f"{refused.total():,} refused" if refused else "")
    return templates, refused


def read_groups(path: Path) -> dict[str, str]:
    """Subject to group, from a CSV with these two columns.

    Raises:
        InvalidInput: a column is missing, or the file is no CSV or too long.
        OSError: it cannot be read.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            return dict(_rows(csv.DictReader(file), path))
        except (csv.Error, UnicodeDecodeError) as error:
            raise InvalidInput(f"{path} is not a CSV file: {error}.") from error


def _rows(reader: csv.DictReader[str], path: Path) -> Iterator[tuple[str, str]]:
    if not {"subject", "group"} <= set(reader.fieldnames or ()):
        raise InvalidInput(f"{path} needs a first line with the columns subject and group.")
    for number, row in enumerate(reader):
        if number >= MAX_GROUP_ROWS:
            raise InvalidInput(f"{path} has more than {MAX_GROUP_ROWS:,} lines.")
        yield row["subject"] or "", printable(row["group"] or "")


def _document(report: Report, path: Path) -> dict[str, object]:
    calibration = report.calibration
    return {
        "calibration_id": calibration.calibration_id,
        "space": calibration.space,
        "measured_on": calibration.measured_on,
        "subjects": calibration.subjects,
        "stranger_pairs": calibration.pairs,
        "lowest_fmr": calibration.floor,
        "mate_pairs": report.mate_pairs,
        "rates": [
            {
                "fmr": rate,
                "threshold": calibration.threshold(rate),
                "mates_found": report.true_match_rates.get(rate),
            }
            for rate in REPORTED_RATES
            if rate >= calibration.floor
        ],
        "groups": {group: dict(values) for group, values in calibration.groups.items()},
        "file": str(path),
    }


def _shown(report: Report) -> RenderableType:
    calibration = report.calibration
    table = plain_table(
        "FMR", "Strangers", "Threshold", "95% bounds of the FMR", "Mates above", right=("Threshold",)
    )
    for rate in REPORTED_RATES:
        if rate < calibration.floor:
            table.add_row(f"{rate:.0e}", f"1 in {one_in(rate)}", "not measurable", "", "")
            continue
        score = calibration.threshold(rate)
        bounds = calibration.rate(score)
        mates = report.true_match_rates.get(rate)
        table.add_row(
            f"{rate:.0e}",
            f"1 in {one_in(rate)}",
            f"{score:.4f}",
            f"{rounded_down(bounds.lower)} to {rounded_up(bounds.upper)}",
            "" if mates is None else f"{mates:.3f} of {report.mate_pairs:,}",
        )
    summary = (
        f"{calibration.calibration_id}: {plural(calibration.subjects, 'subject')}, "
        f"{plural(calibration.pairs, 'stranger pair')}; no FMR under {rounded_up(calibration.floor, digits=3)} "
        "can be measured"
    )
    return Group(table, Text(summary), *_groups(calibration))


def _groups(calibration: Calibration) -> list[RenderableType]:
    """FMR within each group at the thresholds of the whole sample; what shows who is mistaken for whom."""
    if not calibration.groups:
        return []
    rates = [rate for rate in REPORTED_RATES if rate >= calibration.floor]
    table = plain_table("Group", "Subjects", "Pairs", *(f"at {rate:.0e}" for rate in rates))
    for group, values in calibration.groups.items():
        measured = [values.get(f"fmr_at_{rate:.0e}") for rate in rates]
        cells = ["" if value is None else f"{value:.1e}" for value in measured]
        table.add_row(group, f"{values['subjects']:,.0f}", f"{values['pairs']:,.0f}", *cells)
    return [Text("\nFMR between strangers of one group, at the thresholds above", style="bold"), table]
