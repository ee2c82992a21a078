"""What k8s/README.md tells an operator to do works."""

from __future__ import annotations

import os
import re
import shlex
import stat
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from likeness.cli.main import app
from likeness.store.owner_keys import leaf_of
from likeness.store.vault import KeyRing
from tests.k8s.manifests import K8S, kustomize

README = (K8S / "README.md").read_text(encoding="utf-8")


def keys_commands() -> list[list[str]]:
    """The words of every `likeness keys` that is typed on the trusted machine, without `likeness`."""
    return [shlex.split(line)[1:] for line in re.findall(r"^\s*(likeness keys .+)$", README, re.MULTILINE)]


def test_the_commands_make_a_key_ring_rotate_it_and_remove_the_old_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))
    file = tmp_path / "keyring.json"

    def run(words: list[str]) -> None:
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output

    create, rotate, remove, erase = keys_commands()
    run(create)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = KeyRing.load(file)
    run(rotate)
    after = KeyRing.load(file)
    assert before.ids < after.ids
    assert after.active not in before.ids
    run([word.replace("OLD_KEY", before.active) for word in remove] + ["--yes"])
    assert KeyRing.load(file).ids == {after.active}
    run([*erase, "--yes"])
    (keys,) = KeyRing.load(file).owners.values()
    assert keys.key(leaf_of("OWNER")) is None
    assert "python -c" not in README


def test_the_overlay_to_start_from_renders(tmp_path: Path) -> None:
    text, settings = (
        next(block for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if mark in block)
        for mark in ("# kustomization.yaml", "LIKENESS_STORE_KEEP_SOURCES")
    )
    monitored = os.path.relpath(K8S / "overlays/monitored", tmp_path.resolve())
    overlay = yaml.safe_load(text) | {"resources": [monitored]}
    (more,) = yaml.safe_load(settings)["configMapGenerator"]
    overlay["configMapGenerator"][0]["literals"] += more["literals"]
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
    objects = kustomize(tmp_path)
    (workload,) = (found for found in objects if found["kind"] == "StatefulSet")
    assert workload["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "fast-ssd"
    images = {c["image"] for c in workload["spec"]["template"]["spec"]["containers"]}
    assert images == {overlay["images"][0]["newName"] + ":" + overlay["images"][0]["newTag"]}
    (config,) = (o for o in objects if o["metadata"]["name"].startswith("likeness-settings"))
    assert config["data"]["LIKENESS_STORE_KEEP_SOURCES"] == "true"
    assert config["data"]["LIKENESS_TLS_TRUST_DOMAIN"] == "likeness.example"
    assert "LIKENESS_HOME" in config["data"]


def test_what_it_names_exists() -> None:
    folders = re.findall(r"^\| `([a-z/-]+)` \|", README, re.MULTILINE)
    assert len(folders) == 4
    assert all((K8S / folder / "kustomization.yaml").is_file() for folder in folders)
