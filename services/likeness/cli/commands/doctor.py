"""`likeness doctor`: everything that must be right on this machine, and the fix for what is not."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.console import Group, RenderableType
from rich.text import Text

from likeness.app.composition import key_file
from likeness.app.sections import split_address
from likeness.app.settings import Settings
from likeness.cli import doctor_checks
from likeness.cli.doctor_access_checks import access, transport
from likeness.cli.doctor_checks import CheckState, Result, green, guarded, red, yellow
from likeness.cli.doctor_home_checks import history, privacy, reserve, signing, suspensions
from likeness.cli.failures import Exit
from likeness.cli.key_states import KeyState, key_states
from likeness.cli.local_store import has_store, read_only, seals
from likeness.cli.options import AsJson
from likeness.cli.output import Output, plain_table
from likeness.cli.settings_options import ConfigFile, Home, Set, settings_from
from likeness.cli.words import plural
from likeness.domain.errors import LikenessError
from likeness.domain.rounding import rounded_up
from likeness.engine.entry import ModalityEntry
from likeness.inference.models.catalogue import Catalogue
from likeness.store.choice import backend_of
from likeness.store.inspection import check_keys
from likeness.store.opening import check_not_emptied
from likeness.store.vault import KeyRing
from likeness.store.verify import verify_store

HEALTH_TIMEOUT = 10.0
"""Seconds for a server on this machine, which may be busy, to say how it is."""

_STYLE = {CheckState.GREEN: "green", CheckState.YELLOW: "yellow", CheckState.RED: "bold red"}
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  what a server listens on is not what one calls


def doctor(
    *,
    full: Annotated[
        bool,
        typer.Option("--full", help="Check every stored link, row and blob; takes minutes on a large store."),
    ] = False,
    config: ConfigFile = None,
    home: Home = None,
    single: Set = None,
    as_json: AsJson = None,
) -> None:
    """Check Python, packages, settings, models, disk, keys, store and server; say the fix for what is not right."""
    results = list(examine(config, home, single, full=full))
    document = {
        "ok": all(r.state is not CheckState.RED for r in results),
        "checks": [{"name": r.name, "state": r.state.value, "found": r.found, "fix": r.fix} for r in results],
    }
    Output(as_json).answer(document, _shown(results))
    if not document["ok"]:
        raise typer.Exit(Exit.PARTLY)


def examine(
    config: Path | None, home: Path | None, single: list[str] | None, *, full: bool
) -> Iterator[Result]:
    """Every check, in the order in which one thing needs the other."""
    yield doctor_checks.python()
    yield doctor_checks.packages()
    try:
        settings = settings_from(config, home, single)
    except LikenessError as error:
        yield red("settings", error.message, "correct it; likeness config show lists every setting")
        return
    changed = sum(origin != "default" for origin in settings.origins.values())
    yield green("settings", f"valid; {changed} of {len(settings.origins)} changed")
    catalogue = Catalogue.standard(settings.home)
    yield from doctor_checks.models(settings, catalogue)
    yield from _calibrations(settings)
    yield doctor_checks.writable("home", settings.home)
    yield doctor_checks.disk("disk", settings.home)
    yield guarded("key ring", lambda: _key_ring(settings))
    yield guarded("store", lambda: _store(settings, full=full))
    yield guarded("history", lambda: history(settings))
    yield guarded("signing key", lambda: signing(settings))
    if full:  # it reads the whole audit
        yield guarded("suspensions", lambda: suspensions(settings))
    yield guarded("privacy", lambda: privacy(settings))
    yield reserve(settings)
    yield guarded("tls", lambda: transport(settings))
    yield guarded("access", lambda: access(settings))
    yield guarded("server", lambda: _server(settings))
    yield metrics_page(settings)
    yield doctor_checks.processors(settings)


def _calibrations(settings: Settings) -> Iterator[Result]:
    for entry in settings.served:
        name = f"calibration: {entry.name}"
        yield guarded(name, partial(_calibration, name, entry, settings))


def _calibration(name: str, entry: ModalityEntry[Any, Any], settings: Settings) -> Result:
    found = entry.calibration(settings.of(entry), settings.home)
    if found is None:
        return yellow(
            name,
            "none: scores are reported without a false match rate",
            f"run: likeness calibrate FOLDER -m {entry.name}, and set "
            f"{entry.name}.calibration to the file it writes",
        )
    measured = (
        f"{plural(found.pairs, 'stranger pair')}, down to an FMR of {rounded_up(found.floor, digits=3)}"
    )
    return green(name, f"{found.calibration_id}: {measured}")


def _key_ring(settings: Settings) -> Result:
    path = key_file(settings)
    begun = has_store(settings)
    if not path.exists() and not begun:
        return green("key ring", f"{path} will be made, for its owner only, with the first start")
    keys = key_states(settings)
    if not begun and settings.store.key_ring is None:
        return yellow(
            "key ring",
            f"{path} is there and no database: right before the first start only",
            "if there was data, restore the database from a backup before anything is started",
        )
    found = f"{path}: {plural(sum(key.state is not KeyState.REMOVED for key in keys), 'key')}"
    for key in keys:
        if key.state is KeyState.IN_USE:
            return yellow(
                "key ring",
                f"{found}; the old key {key.key_id} is still in use",
                "let the server seal its data under the current key (store.reseal_old_keys, after a restart), or "
                "stop it and run: likeness keys reseal",
            )
        if key.state is KeyState.IDLE:
            found += f", of which {key.key_id} seals nothing more (likeness keys remove {key.key_id})"
        if key.state is KeyState.UNUSED and begun:
            found += f"; the current one, {key.key_id}, is used with the next start of the server"
    ring = KeyRing.load(path)
    if ring.active not in ring.owners:
        return yellow(
            "key ring",
            f"{found}; the current one is from a release that had no keys for owners, so that an owner's exit "
            "would not reach backups",
            "run: likeness keys rotate; then restart the server, which seals old data under the new key",
        )
    return green("key ring", f"{found}; readable by its owner only; keep a backup")


def _store(settings: Settings, *, full: bool) -> Result:
    backend = backend_of(settings.home)
    check_not_emptied(backend)
    if not has_store(settings):
        return green("store", f"none yet in {settings.home}; it will be made with the first start")
    opened = seals(settings)
    with read_only(settings) as connection:
        check_keys(connection, opened)  # a ring of another store refuses every piece: no fault of the data
        report = verify_store(backend, connection, opened, full=full)
    if not report.ok:
        more = f" (and {len(report.problems) - 1} more)" if len(report.problems) > 1 else ""
        return red("store", report.problems[0] + more, "stop the server and restore the store from a backup")
    how = "every link, row and blob" if full else "quick check; --full checks every row"
    return green("store", f"sound ({how}); log position {report.log_entries}, audit {report.audit_entries}")


def _server(settings: Settings) -> Result:
    """A server of this home, by its lock, and what answers at the address of the settings: that of health where the
    other one demands a certificate."""
    owner = backend_of(settings.home).holder()
    listens_on = (settings.tls.is_on and settings.health.address) or settings.grpc.address
    host, port = split_address(listens_on)
    address = f"[{h}]:{port}" if ":" in (h := _ANYWHERE.get(host, host)) else f"{h}:{port}"
    try:
        with grpc.insecure_channel(address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=HEALTH_TIMEOUT)
    except grpc.RpcError as error:
        if owner is not None:
            return _elsewhere(settings, owner, address)
        return _no_server(listens_on, address, error)
    state = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    if owner is None:
        return yellow(
            "server",
            f"{state} at {address}, but no process holds {settings.home}: it serves another home",
            "give that server's home with --home, or this home's address with --set grpc.address=HOST:PORT",
        )
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return green("server", f"SERVING at {address}; process {owner} holds {settings.home}")
    return yellow(
        "server", f"{state} at {address}", "wait until it has started; its log says what it waits for"
    )


def _elsewhere(settings: Settings, owner: str, address: str) -> Result:
    """A process holds the home, and does not answer where the settings say."""
    metrics = settings.metrics.address
    answers = (
        f"; the metrics address {metrics} is taken, as by a server"
        if metrics and not doctor_checks.port_free(metrics)
        else ""
    )
    return yellow(
        "server",
        f"process {owner} holds {settings.home}, and no server answers at {address}{answers}",
        "if it listens elsewhere, give its address with --set grpc.address=HOST:PORT; its log says where it "
        "serves, or what it waits for",
    )


def _no_server(listens_on: str, address: str, error: grpc.RpcError) -> Result:
    if doctor_checks.port_free(listens_on):
        return green("server", f"not running; the port of {listens_on} is free: likeness serve")
    code = error.code().name if isinstance(error, grpc.Call) else "an error"
    return red(
        "server",
        f"something else holds the port of {listens_on} (it answered {code})",
        f"find it with: ss -ltnp 'sport = :{split_address(address)[1]}'; or set another address",
    )


def metrics_page(settings: Settings) -> Result:
    """A server can listen where its metrics are to be read, or does."""
    name, address = "metrics page", settings.metrics.address
    if not address:
        return green(name, "turned off")
    if backend_of(settings.home).holder() is not None:
        return green(name, f"http://{address}/metrics, as the settings say")
    if doctor_checks.port_free(address):
        return green(name, f"the port of {address} is free")
    return red(
        name,
        f"something else holds the port of {address}: a server of {settings.home} does not start",
        f"find it with: ss -ltnp 'sport = :{split_address(address)[1]}'; or set metrics.address to another one",
    )


def _shown(results: list[Result]) -> RenderableType:
    table = plain_table("", "", "")
    table.show_header = False
    shown: dict[str, str] = {}
    for result in results:
        first = shown.setdefault(result.found, result.name)
        found = result.found if first == result.name else f"as for {first}"
        table.add_row(Text(result.state.value, style=_STYLE[result.state]), result.name, found)
        if result.fix:
            table.add_row("", "", Text(f"fix: {result.fix}", style="cyan"))
    bad = len({r.found for r in results if r.state is CheckState.RED})
    summary = f"{plural(bad, 'thing')} must be mended" if bad else "nothing must be mended"
    return Group(table, Text(summary, style="bold red" if bad else "bold green"))
