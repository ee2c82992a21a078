"""What is running: the version, the revision that it was built from, and the Python under it."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, distribution

import likeness
from likeness.telemetry import metrics

REVISION_VARIABLE = "LIKENESS_REVISION"
"""The environment variable that an image carries its revision in."""


def report_build() -> None:
    """Put what is running on the metrics page."""
    metrics.build_info(likeness.__version__, revision(), platform.python_version())


def revision() -> str:
    """The commit that was built: as the image says, else as the installer recorded it; empty if neither does."""
    return os.environ.get(REVISION_VARIABLE, "") or _installed_revision()


def _installed_revision() -> str:
    """What pip notes of an installation from a repository (PEP 610)."""
    try:
        noted = json.loads(distribution(likeness.DISTRIBUTION).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return ""
    return str(noted.get("vcs_info", {}).get("commit_id", ""))
