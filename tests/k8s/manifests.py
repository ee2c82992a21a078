"""Renders the manifests with kubectl and finds objects in them."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "k8s"
RENDERED = ("base", "overlays/dev", "overlays/monitored")

Object = dict[str, Any]


def kustomize(folder: Path) -> list[Object]:
    """The objects that a folder renders to; skips the test where there is no kubectl."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed, so the manifests cannot be rendered")
    done = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return [found for found in yaml.safe_load_all(done.stdout) if found is not None]


@cache
def render(name: str) -> list[Object]:
    """The objects of k8s/<name>."""
    return kustomize(K8S / name)


def one(name: str, kind: str, called: str | None = None) -> Object:
    """The only object of that kind (and name)."""
    found = [o for o in render(name) if o["kind"] == kind and called in (None, o["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} objects of kind {kind} in {name}"
    return found[0]


def pod(name: str) -> Object:
    """The pod's specification."""
    spec: Object = one(name, "StatefulSet")["spec"]["template"]["spec"]
    return spec


def service_container(name: str) -> Object:
    """The container that serves."""
    (container,) = pod(name)["containers"]
    assert container["name"] == "likeness"
    return dict(container)


def environment(name: str) -> dict[str, str]:
    """The variables that the manifests give to the service."""
    container = service_container(name)
    found: dict[str, str] = {}
    for source in container["envFrom"]:
        config = one(name, "ConfigMap", source["configMapRef"]["name"])
        found |= config["data"]
    return found | {entry["name"]: entry["value"] for entry in container.get("env", [])}
