"""The image is pinned, small, unprivileged and silent."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import likeness
from likeness.app.sections import split_address
from likeness.app.settings import load
from tests.k8s.containerfile import arguments, stages
from tests.k8s.manifests import ROOT

IMAGE = stages()[-1]


def test_every_stage_begins_with_a_pinned_image_or_an_earlier_stage() -> None:
    named: set[str] = set()
    for stage in stages():
        assert stage.base in named | {"${PYTHON}"}
        named.add(stage.name)
    assert re.fullmatch(
        r"docker\.io/library/python:3\.\d+-slim-[a-z]+@sha256:[0-9a-f]{64}", arguments()["PYTHON"]
    )
    assert IMAGE.base == "${PYTHON}"  # nothing of the stages that build is in the image but what is copied


def test_what_it_copies_is_there_and_is_not_ignored() -> None:
    ignored = (ROOT / ".containerignore").read_text(encoding="utf-8").splitlines()
    copied = {
        source
        for stage in stages()
        for argument in stage.all("COPY")
        if not argument.startswith("--from=")
        for source in argument.split()[:-1]
    }
    assert copied == {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert all((ROOT / source).exists() for source in copied)
    assert {
        argument.split()[0].removeprefix("--from=") for argument in IMAGE.all("COPY") if "--from" in argument
    } <= {stage.name for stage in stages()}


def test_it_runs_as_a_numbered_user_and_leaves_health_to_the_cluster() -> None:
    (user,) = IMAGE.all("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert not IMAGE.all("HEALTHCHECK")
    assert IMAGE.all("ENTRYPOINT") == ['["likeness"]']


def test_it_listens_on_the_ports_that_it_exposes() -> None:
    ours = {name: value for name, value in IMAGE.environment.items() if name.startswith("LIKENESS_")}
    settings = load(environment=ours)
    ports = {split_address(settings.grpc.address)[1], split_address(settings.metrics.address)[1]}
    assert {int(port) for port in IMAGE.all("EXPOSE")[0].split()} == ports
    assert str(settings.home) == IMAGE.environment["HOME"]


def test_nothing_is_reported_to_the_makers_of_a_library() -> None:
    """Builds of onnxruntime on PyPI send telemetry unless it is switched off before they are loaded."""
    first = stages()[0]
    assert first.environment["ORT_DISABLE_TELEMETRY"] == "1"
    assert IMAGE.environment["ORT_DISABLE_TELEMETRY"] == "1"


def test_models_are_built_with_the_image_and_checked_as_its_user() -> None:
    built = next(stage for stage in stages() if stage.name == "models")
    assert any("likeness models build" in command for command in built.all("RUN"))
    names = [name for name, _ in IMAGE.instructions]
    assert "likeness models verify" in IMAGE.all("RUN")[-1]
    assert names.index("USER") < len(names) - 1 - names[::-1].index("RUN")


def test_the_product_is_installed_from_everything_that_its_package_holds() -> None:
    """The build of the wheel fails on a folder that is named and not there."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    wheel = build["targets"]["wheel"]
    needed = {Path(name).parts[0] for name in (*wheel["packages"], *wheel["force-include"])}
    product = next(stage for stage in stages() if stage.name == "product")
    before = product.instructions[: [name for name, _ in product.instructions].index("RUN")]
    copied = {source for name, argument in before if name == "COPY" for source in argument.split()[:-1]}
    assert needed <= copied


def test_the_libraries_of_a_desktop_are_there_only_if_opencv_needs_them() -> None:
    """opencv-python links to them, opencv-python-headless does not: then take them out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {
        re.split(r"[<>=~! ]", requirement)[0] for requirement in project["optional-dependencies"]["server"]
    }
    assert ("opencv-python" in names) == any("libgl1" in command for command in IMAGE.all("RUN"))


def test_the_version_is_that_of_the_project() -> None:
    assert f"VERSION={likeness.__version__}" in IMAGE.all("ARG")


def test_kernels_are_compiled_with_the_image_and_looked_for_where_they_lie() -> None:
    built = next(stage for stage in stages() if stage.name == "models")
    folder = IMAGE.environment["NUMBA_CACHE_DIR"]
    assert any(
        "likeness models build" in command and f"NUMBA_CACHE_DIR={folder} " in command
        for command in built.all("RUN")
    )
    assert Path(folder).is_relative_to(IMAGE.environment["LIKENESS_CACHE"])
