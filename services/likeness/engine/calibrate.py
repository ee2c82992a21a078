"""Measures how strangers score, and writes it down as a calibration.

Strangers are compared once per pair of subjects, by the first template of each. The table goes down to the
rate that `MIN_FALSE_MATCHES` stranger pairs support and no further. ISO/IEC 19795-1 gives the definitions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likeness.domain.calibration import Calibration
from likeness.domain.errors import InvalidInput
from likeness.domain.modality import Modality
from likeness.domain.samples import Template
from likeness.inference.models import sums
from likeness.inference.models.catalogue import shipped_manifests

SCHEMA = "likeness-calibration/1"

MIN_FALSE_MATCHES = 10
"""Stranger pairs at or above the highest row; with ten, the 95% bounds are within a factor of two."""

MIN_SUBJECTS = 30
"""Fewer subjects make fewer than 435 stranger pairs, which support nothing that is of use."""

ROWS_PER_DECADE = 12
"""Spacing of the rows; scores between rows are interpolated in log(FMR)."""

Z95 = 1.959964
"""The 97.5% quantile of the normal distribution."""

REPORTED_RATES = (1e-2, 1e-3, 1e-4, 1e-5)
"""False match rates at which mates and groups are reported."""

MAX_FILE_BYTES = 4 << 20

_SHIPPED_FILE = "calibration.json"
"""In the folder of a model that is shipped."""

DIGEST_DIGITS = 12
"""Of the SHA-256 of a calibration's content that its identifier carries."""


@dataclass(frozen=True)
class Report:
    """A calibration, and how mates fare under it.

    `mate_pairs` same-subject pairs were compared; `true_match_rates` maps a reported false match rate to the
    share of them at or above its threshold.
    """

    calibration: Calibration
    mate_pairs: int = 0
    true_match_rates: Mapping[float, float] = field(default_factory=dict)


def wilson(count: NDArray[np.float64], n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper 95% bounds of `count` in `n` (Wilson 1927), float64 arrays like `count`."""
    p = count / n
    centre = p + Z95**2 / (2 * n)
    half = Z95 * np.sqrt(p * (1 - p) / n + Z95**2 / (4 * n * n))
    scale = 1 + Z95**2 / n
    return np.maximum(0.0, (centre - half) / scale), np.minimum(1.0, (centre + half) / scale)


def table(
    scores: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Rows (score, FMR, lower, upper), scores ascending, from the scores of stranger pairs float64 [n].

    Raises:
        InvalidInput: fewer pairs than the table needs, or all scores are equal.
    """
    n = len(scores)
    if n < MIN_FALSE_MATCHES * 10:
        raise InvalidInput(
            f"{n} stranger pairs cannot be calibrated on; at least {MIN_FALSE_MATCHES * 10} are needed."
        )
    ordered = np.sort(scores)
    decades = np.log10(n / MIN_FALSE_MATCHES)
    wanted = np.logspace(np.log10(n), np.log10(MIN_FALSE_MATCHES), int(decades * ROWS_PER_DECADE) + 2)
    rows = np.unique(ordered[n - np.clip(np.round(wanted).astype(int), MIN_FALSE_MATCHES, n)])
    if len(rows) < 2:
        raise InvalidInput("All stranger pairs have the same score; the model does not distinguish subjects.")
    counts = (n - np.searchsorted(ordered, rows, side="left")).astype(np.float64)
    lower, upper = wilson(counts, n)
    return rows, counts / n, lower, upper


def measure(
    modality: Modality,
    subjects: Mapping[str, Sequence[Template]],
    *,
    calibration_id: str,
    measured_on: str,
    groups: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Measure a calibration over templates by subject.

    Args:
        modality: compares the templates.
        subjects: subject -> its templates; the first stands for the subject among strangers.
        calibration_id: name of the result, written into every answer made with it.
        measured_on: one sentence that says what the sample is, for people.
        groups: subject -> group label; the FMR within each group is reported at the overall thresholds.
        progress: called with (done, total) subjects.

    Raises:
        InvalidInput: too few subjects.
    """
    names = [name for name, templates in subjects.items() if templates]
    if len(names) < MIN_SUBJECTS:
        raise InvalidInput(
            f"{len(names)} subjects with a usable sample are too few to calibrate on; give at least "
            f"{MIN_SUBJECTS}, better a thousand."
        )
    firsts = [subjects[name][0] for name in names]
    strangers: list[NDArray[np.float64]] = []
    mates: list[float] = []
    for i, name in enumerate(names):
        scores = modality.compare(firsts[i], firsts[i + 1 :])
        strangers.append(np.array([s.value for s in scores], np.float64))
        mates.extend(_mate_scores(modality, subjects[name]))
        if progress is not None:
            progress(i + 1, len(names))
    rows, fmr, lower, upper = table(np.concatenate(strangers))
    calibration = Calibration(
        calibration_id=calibration_id,
        space=modality.space.space_id,
        measured_on=measured_on,
        pairs=sum(len(s) for s in strangers),
        subjects=len(names),
        scores=rows,
        fmr=fmr,
        lower=lower,
        upper=upper,
    )
    if groups:
        reported = _by_group(calibration, names, strangers, groups)
        calibration = Calibration(**{**vars(calibration), "groups": reported})
    rates = {
        rate: float(np.mean(np.array(mates) >= calibration.threshold(rate)))
        for rate in REPORTED_RATES
        if mates and rate >= calibration.floor
    }
    return Report(calibration, len(mates), rates)


def _mate_scores(modality: Modality, templates: Sequence[Template]) -> list[float]:
    scores: list[float] = []
    for i, template in enumerate(templates[:-1]):
        scores.extend(s.value for s in modality.compare(template, templates[i + 1 :]))
    return scores


def _by_group(
    calibration: Calibration,
    names: Sequence[str],
    strangers: Sequence[NDArray[np.float64]],
    groups: Mapping[str, str],
) -> dict[str, dict[str, float]]:
    labels = np.array([groups.get(name, "") for name in names])
    found: dict[str, dict[str, float]] = {}
    for label in sorted(set(labels) - {""}):
        members = np.flatnonzero(labels == label)
        parts = [strangers[i][members[members > i] - i - 1] for i in members.tolist()]
        scores = np.concatenate(parts) if parts else np.empty(0)
        if len(scores) == 0:
            continue
        found[str(label)] = {"subjects": float(len(members)), "pairs": float(len(scores))} | {
            f"fmr_at_{rate:.0e}": float(np.mean(scores >= calibration.threshold(rate)))
            for rate in REPORTED_RATES
            if rate >= calibration.floor
        }
    return found


def save(calibration: Calibration, path: Path) -> None:
    """Write a calibration as JSON, to a partial file that is then renamed."""
    document = {
        "schema": SCHEMA,
        "calibration_id": calibration.calibration_id,
        "space": calibration.space,
        "measured_on": calibration.measured_on,
        "pairs": calibration.pairs,
        "subjects": calibration.subjects,
        "rows": [
            {
                "score": round(s, 6),
                "fmr": float(f"{f:.6g}"),
                "lower": float(f"{lo:.6g}"),
                "upper": float(f"{up:.6g}"),
            }
            for s, f, lo, up in zip(
                calibration.scores, calibration.fmr, calibration.lower, calibration.upper, strict=True
            )
        ],
        "groups": calibration.groups,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(path.suffix + ".part")
    partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def load(path: Path, *, space: str | None = None) -> Calibration:
    """Read a calibration for a template space; None leaves that to the modality that it is given to.

    Its identifier is the one in the file with the digest of the content, so that answers and audit entries tell a
    changed table from the one that was measured.

    Raises:
        InvalidInput: the file is missing, is no calibration, or belongs to another template space.
        Corrupt: it is shipped, and missing or not as it was released.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InvalidInput(f"{path} is larger than {MAX_FILE_BYTES} bytes; it is no calibration.")
        data = sums.read(path)
        document = json.loads(data)
        if document["schema"] != SCHEMA:
            raise InvalidInput(f"{path} has schema {document['schema']!r}; {SCHEMA!r} is needed.")
        rows = document["rows"]
        calibration = Calibration(
            calibration_id=f"{document['calibration_id']}@{hashlib.sha256(data).hexdigest()[:DIGEST_DIGITS]}",
            space=str(document["space"]),
            measured_on=str(document["measured_on"]),
            pairs=int(document["pairs"]),
            subjects=int(document["subjects"]),
            scores=np.array([row["score"] for row in rows], np.float64),
            fmr=np.array([row["fmr"] for row in rows], np.float64),
            lower=np.array([row["lower"] for row in rows], np.float64),
            upper=np.array([row["upper"] for row in rows], np.float64),
            groups=document.get("groups", {}),
        )
    except FileNotFoundError as error:
        sums.check_not_shipped(path)
        raise InvalidInput(
            f"There is no calibration at {path}; make one with `likeness calibrate`."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path} is not a calibration file: {error}.") from error
    if space is not None and calibration.space != space:
        raise InvalidInput(
            f"Calibration {calibration.calibration_id} is for template space {calibration.space}, but the model "
            f"in use makes {space}; run `likeness calibrate` with that model."
        )
    return calibration


def load_chosen(chosen: Path | None, shipped: str) -> Calibration:
    """Read the calibration that an operator chose, or of None the one in the folder of a shipped model.

    Raises as `load`.
    """
    return load(chosen or shipped_manifests() / shipped / _SHIPPED_FILE)
