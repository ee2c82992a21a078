"""Ask for known vulnerabilities of locked packages: python .ci/audit.py LOCK ...

pip-audit asks the service of PyPI. A vulnerability that a newer version fixes ends the run with 1 (the remedy is
`make locks`); one without a remedy is printed. Where the service cannot be reached, or does not know a package,
that is stated: nothing is called free of vulnerabilities that was not asked for.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

WAIT_SECONDS = 300.0
"""For all packages of one lock; the service answers some tens a second."""


def main(locks: Sequence[str]) -> int:
    """Audit each lock, print a line for each and for each vulnerability; returns the exit code."""
    return max(_audit(Path(lock)) for lock in locks)


def _audit(lock: Path) -> int:
    try:
        packages = _report(lock)
    except OSError as fault:
        print(f"audit: {lock}: NOT audited: {fault}")
        return 0
    asked = [package for package in packages if "skip_reason" not in package]
    found = [*_found(asked)]
    for line, _ in found:
        print(f"audit: {lock}: {line}")
    unknown = len(packages) - len(asked)
    print(
        f"audit: {lock}: {len(asked)} packages asked for, {len(found)} vulnerabilities"
        + (f"; {unknown} packages are not known to the service and were NOT audited" if unknown else "")
    )
    return int(any(remedy for _, remedy in found))


def _report(lock: Path) -> list[Mapping[str, Any]]:
    """What pip-audit says of each package.

    Raises:
        OSError: it could not ask, and why.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [
            sys.executable,
            "-m",
            "pip_audit",
            "--disable-pip",
            "--no-deps",
            "--progress-spinner",
            "off",
        ]
        command += ["--requirement", str(lock), "--format", "json", "--output", str(report)]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise OSError(f"the service did not answer within {WAIT_SECONDS:.0f} s") from None
        if not report.exists():
            raise OSError((ended.stderr.strip().splitlines() or ["pip-audit wrote no report"])[-1])
        packages: list[Mapping[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["dependencies"]
        return packages


def _found(packages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, bool]]:
    """A line for each vulnerability, and whether a newer version mends it."""
    for package in packages:
        for vulnerability in package["vulns"]:
            mended = ", ".join(vulnerability["fix_versions"])
            remedy = f"mended in {mended}; run `make locks`" if mended else "not mended yet"
            yield f"{package['name']} {package['version']}: {vulnerability['id']}, {remedy}", bool(mended)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
