"""Wraps the Prometheus rules of k8s/monitoring/rules.yaml in the resource that the Prometheus operator reads.

usage: python k8s/monitoring/rules.py
"""

from __future__ import annotations

import textwrap
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SOURCE = FOLDER / "rules.yaml"
TARGET = FOLDER.parent / "components/prometheus-operator/rules.yaml"

_HEAD = """\
# Made from k8s/monitoring/rules.yaml by k8s/monitoring/rules.py; change that file, not this one.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: likeness
  namespace: likeness
  labels:
    app.kubernetes.io/name: likeness
    app.kubernetes.io/part-of: likeness
spec:
"""


def resource(rules: str) -> str:
    """The text of the PrometheusRule that holds a rules file; its comments stay, but for those at its top."""
    return _HEAD + textwrap.indent(rules[rules.index("groups:") :], "  ")


if __name__ == "__main__":
    TARGET.write_text(resource(SOURCE.read_text(encoding="utf-8")), encoding="utf-8")
