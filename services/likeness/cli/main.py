"""`likeness`: the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from likeness import __version__
from likeness.cli.commands import audit, certs, config, keys, models, oversight, policy, references
from likeness.cli.commands.backup import backup, restore
from likeness.cli.commands.calibrate import calibrate
from likeness.cli.commands.compare import compare
from likeness.cli.commands.doctor import doctor
from likeness.cli.commands.enroll import enroll
from likeness.cli.commands.search import search
from likeness.cli.commands.serve import serve
from likeness.cli.demo.command import demo
from likeness.cli.failures import EXIT_CODES, Commands
from likeness.cli.output import tolerate_encodings
from likeness.cli.words import LEAD

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=f"Search faces, fingerprint templates and objects by likeness, with honest error rates. {LEAD}",
    epilog=EXIT_CODES,
)

USING = "Using a server"
RUNNING = "Running a server"

app.command(
    rich_help_panel=USING,
    epilog="Examples: `likeness enroll portraits/ --gallery wanted --category wanted --subject-from-folder "
    "--entity NCB-FR` or `likeness enroll records/ -m fingerprint --gallery wanted --entity NCB-FR`",
)(enroll)
app.command(
    rich_help_panel=USING,
    epilog="Examples: `likeness search probe.jpg -g wanted --entity NCB-FR --purpose wanted_person --max-fmr 1e-4 "
    "--sheet leads.png` or, with LIKENESS_ENTITY and LIKENESS_PURPOSE exported, "
    "`likeness search probes/ --json | jq '.answers[].candidates[0]'`",
)(search)
app.command(
    rich_help_panel=USING,
    epilog="Examples: `likeness compare a.jpg b.jpg --entity NCB-FR --purpose court_proceedings "
    "--explain pair.png` or `likeness compare probe.jpg 0198c0de-7000-7000-8000-000000000000 "
    "--purpose court_proceedings`",
)(compare)
app.command(rich_help_panel=USING, epilog="Example: `likeness get 0198c0de-7000-7000-8000-000000000000`")(
    references.get
)
app.command(
    "list",
    rich_help_panel=USING,
    epilog="Example: `likeness list -g wanted --status suspended --json | jq .subject_id`",
)(references.list_references)
app.command(
    rich_help_panel=USING,
    epilog="Example: `likeness update 0198c0de-7000-7000-8000-000000000000 --status suspended`",
)(references.update)
app.command(
    rich_help_panel=USING,
    epilog="Example: `likeness expunge 0198c0de-7000-7000-8000-000000000000 --reason 'warrant withdrawn' --yes`",
)(references.expunge)
app.add_typer(oversight.app, name="oversight", rich_help_panel=USING)
app.command(
    rich_help_panel=RUNNING,
    epilog="Example: `likeness serve --home /srv/likeness --address 127.0.0.1:50051 --set store.keep_sources=true`",
)(serve)
app.command(
    rich_help_panel=RUNNING,
    epilog="Example: `likeness demo --faces ~/portraits --out /tmp/likeness-demo`",
)(demo)
app.command(
    rich_help_panel=RUNNING,
    epilog="Example: `likeness doctor --full`; exit code 1 if something must be mended.",
)(doctor)
app.command(
    rich_help_panel=RUNNING,
    epilog="Example: `likeness backup likeness-monday`; a backup that was interrupted leaves none.",
)(backup)
app.command(
    rich_help_panel=RUNNING,
    epilog="Example: `likeness restore likeness-monday --home likeness-restored --key-ring keys.json "
    "--since likeness-broken`",
)(restore)
app.command(
    rich_help_panel=RUNNING,
    epilog="Example: `likeness calibrate people/ --groups groups.csv --about 'press photographs of 1,388 adults'`",
)(calibrate)
app.add_typer(audit.app, name="audit", rich_help_panel=RUNNING)
app.add_typer(certs.app, name="certs", rich_help_panel=RUNNING)
app.add_typer(keys.app, name="keys", rich_help_panel=RUNNING)
app.add_typer(policy.app, name="policy", rich_help_panel=RUNNING)
app.add_typer(models.app, name="models", rich_help_panel=RUNNING)
app.add_typer(config.app, name="config", rich_help_panel=RUNNING)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"likeness {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Options of the program itself."""


def main() -> None:
    """Run the command line."""
    tolerate_encodings()
    app(prog_name="likeness")
