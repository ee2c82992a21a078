"""The gRPC server: listens first, warms up, reports SERVING, and drains when it receives a signal."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping
from typing import Protocol

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from likeness.app.access import access_of
from likeness.app.sections import split_address
from likeness.app.settings import Settings
from likeness.domain.access import Access, Reloading, TrustEveryone
from likeness.domain.errors import LikenessError, Precondition
from likeness.domain.oversight import Record
from likeness.domain.storage import Ledger
from likeness.engine.engine import Engine
from likeness.protocol import OVERSIGHT, SERVICES, Service
from likeness.rpc import reflection
from likeness.rpc.gate import Gate
from likeness.rpc.handlers import CallLimits, Handlers
from likeness.rpc.identity import Prove
from likeness.rpc.interceptors import ArrivalLimits, Interceptor, gated, proven, timed
from likeness.rpc.open_calls import OpenCalls
from likeness.rpc.oversight import OversightHandlers
from likeness.rpc.recording import Recorder
from likeness.rpc.transport import Transport
from likeness.rpc.workers import Workers
from likeness.telemetry import logs, metrics, standard_error
from likeness.telemetry.http import MetricsPage
from likeness.transparency.note import Signer

OVERALL = ""
"""The health name that stands for all services together."""
LIVE = "live"
"""The health name that is SERVING as long as the process answers at all, also while it starts and drains."""

# A client may ping every 10 s; we ping a silent one after 2 minutes and drop it 20 s later, so that streams of
# clients that vanished behind a NAT do not hold their window for ever.
_KEEPALIVE = (
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 120_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)

_LONGEST_UNREAD = 2
"""Seconds that a call may wait in gRPC's own queue, before it reaches the gate; then gRPC ends it as CANCELLED,
which a client takes as "try again". How many calls there are at once is the gate's to say, so that health is never
among them."""

_LARGEST_QUESTION = 4 << 10
"""Bytes of a question for health, which is the name of a service."""

_LINGER = 0.5
"""Seconds that connections stay open after the last handler returned. Stopping closes them at once, and a socket
that is closed before its peer has read everything is reset: the peer would lose an answer that was sent."""

_WATCH_SECONDS = 0.5
"""Between two looks whether acts can go on record."""

_STATUS = health_pb2.HealthCheckResponse

_logger = logging.getLogger(__name__)

_GRPC_LOGGER = "grpc._cython.cygrpc"


class Composition(Protocol):
    """What the server serves: an engine for each modality, warmed, and what must be closed after them."""

    @property
    def engines(self) -> Mapping[str, Engine]:
        """Modality to engine."""

    @property
    def store(self) -> Record:
        """Where the engines' answers are recorded, and what was refused; owners read it."""

    @property
    def signer(self) -> Signer | None:
        """What signs the receipts of expungements; None where there is no key."""

    def close(self) -> None:
        """Close the engines and the store; blocks."""


Compose = Callable[[Settings], Composition]


class Server:
    """One gRPC server. Use from one event loop: `start`, then `drain`.

    Args:
        settings: limits and addresses.
        compose: builds and warms the engines; blocks, and runs in a thread of its own.
        services: what is offered; calls of a service whose modality is not composed are refused with the reason.
        access: judges every call before it is done.
        prove: says who the peer of a call is proven to be; None takes what the transport proves.
        private_health: whether health is answered at `health.address` too, without TLS.

    Raises:
        Precondition: see `Transport.of`.
    """

    def __init__(
        self,
        settings: Settings,
        compose: Compose,
        *,
        services: tuple[Service, ...] = SERVICES,
        access: Access | None = None,
        prove: Prove | None = None,
        private_health: bool = False,
    ) -> None:
        self._settings = settings
        wire = settings.grpc
        self._services = services
        self._access = access or TrustEveryone()
        self.transport = Transport.of(settings)
        """How calls come in."""
        self._prove = prove or self.transport.prove
        self._compose = compose
        self._composition: Composition | None = None
        self._watch: asyncio.Task[None] | None = None
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # missing from the stubs
        self._workers = Workers(wire.workers, wire.bulk_workers)
        self._recorder = Recorder(self._workers)
        self._gate = Gate(
            requests=wire.workers + wire.queue,
            streams=wire.max_streams,
            max_bytes=wire.max_bytes_in_flight,
        )
        limits = CallLimits(
            max_sample_bytes=wire.max_sample_bytes,
            max_answer_bytes=wire.max_answer_bytes,
            max_k=wire.max_k,
            max_page_size=wire.max_page_size,
            stream_window=wire.stream_window,
            stream_idle=wire.stream_idle,
            item_seconds=wire.default_deadline,
        )
        self._handlers = {
            service.modality: Handlers(self._workers, self._recorder, limits, self._gate.draining)
            for service in services
        }
        self._open_calls = OpenCalls()
        self._oversight = OversightHandlers(
            self._workers, self._recorder, self._access, self._judge_again, wire.default_deadline
        )
        self._readiness: asyncio.Task[None] | None = None
        self._server = self._build()
        self._private = self._build_private() if private_health and settings.health.address else None
        self.health_port = 0
        """The port of private health, once started."""
        self.port = 0
        """The port that is listened on, once started."""

    def _led(self) -> Interceptor:
        """A new one for each server, for it remembers the handlers of the one that it stands before."""
        wire = self._settings.grpc
        deadline = timed(wire.default_deadline, wire.max_deadline)
        arrival = ArrivalLimits(
            calls=wire.max_arriving,
            message_seconds=wire.message_seconds,
            stream_seconds=wire.stream_idle,
            metadata_bytes=wire.max_metadata_bytes,
        )
        modalities = {service.name: service.modality for service in self._services}
        prove = proven(self._access, self._prove, modalities)
        steps = (gated(self._gate), deadline)
        return Interceptor(self._gate, steps, prove, self._recorder, self._open_calls, arrival)

    def _build(self) -> grpc.aio.Server:
        wire = self._settings.grpc
        server = grpc.aio.server(
            interceptors=[self._led()],
            options=(
                ("grpc.max_receive_message_length", wire.max_message_bytes),
                ("grpc.max_send_message_length", wire.max_message_bytes),
                ("grpc.max_concurrent_streams", wire.max_connection_calls),
                ("grpc.server.max_pending_requests", wire.max_arriving),
                ("grpc.server.max_unrequested_time_in_server", _LONGEST_UNREAD),
                ("grpc.so_reuseport", 0),  # a second server on the port must fail, not share its requests
                *_KEEPALIVE,
            ),
        )
        for service in self._services:
            service.register(self._handlers[service.modality], server)
        OVERSIGHT.register(self._oversight, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = [service.name for service in (*self._services, OVERSIGHT)]
        reflection.enable(server, (*names, health.SERVICE_NAME))
        return server

    def _build_private(self) -> grpc.aio.Server:
        """Health alone, for those who cannot speak TLS, such as Kubernetes' probes."""
        server = grpc.aio.server(
            interceptors=[self._led()],
            options=(
                ("grpc.max_receive_message_length", _LARGEST_QUESTION),
                ("grpc.so_reuseport", 0),
                *_KEEPALIVE,
            ),
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        return server

    async def start(self) -> None:
        """Listen, build and warm the engines, then report SERVING.

        Raises:
            Precondition: the address cannot be listened on.
            LikenessError: whatever stopped the engines from being built; nothing is left open.
        """
        await self._report(_STATUS.NOT_SERVING)
        await self._health.set(LIVE, _STATUS.SERVING)
        try:
            composition = await self._open()
        except BaseException:
            await self._stop()
            raise
        if isinstance(self._access, Reloading):
            self._watch = asyncio.create_task(self._keep_current(self._access))
        self._gate.open()
        await self._report(_STATUS.SERVING)
        self._readiness = asyncio.create_task(self._watch_record(composition.store))

    async def _watch_record(self, store: Ledger) -> None:
        """Report NOT_SERVING for as long as nothing can go on record, since nothing is answered then; and have on
        record how many refusals had no entry of their own."""
        serving = True
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            if store.is_failing is serving:
                serving = not serving
                status = _STATUS.SERVING if serving else _STATUS.NOT_SERVING
                if serving:
                    logs.event(_logger, logging.INFO, "the audit is written again")
                else:
                    logs.event(_logger, logging.ERROR, "the audit is not written")
                await self._report(status)
            if serving and self._recorder.is_due:
                try:
                    await asyncio.to_thread(self._recorder.settle)
                except LikenessError as error:  # it is tried again
                    logs.event(_logger, logging.ERROR, "refusals not recorded", error=error)

    async def _open(self) -> Composition:
        self.port = self._listen()
        if self._private is not None:
            self.health_port = _listened(
                self._private.add_insecure_port, self._settings.health.address, "health.address"
            )
            await self._private.start()
        await self._server.start()
        self._composition = composition = await asyncio.to_thread(self._compose, self._settings)
        self._recorder.attach(composition.store, self._settings.quotas.limits())
        self._oversight.attach(composition.store)
        engines = composition.engines
        for name, handlers in self._handlers.items():
            if name in engines:
                handlers.attach(engines[name], self._composition.signer)
            else:
                handlers.decline(name)
        return composition

    async def drain(self) -> None:
        """Report NOT_SERVING, let nothing new in, let what is under way finish within the grace, and close."""
        if self._readiness is not None:
            self._readiness.cancel()
        await self._report(_STATUS.NOT_SERVING)
        self._gate.drain()
        busy = not self._gate.is_empty
        try:
            async with asyncio.timeout(self._settings.grpc.drain_grace):
                await self._gate.empty()
        except TimeoutError:
            logs.event(_logger, logging.WARNING, "drain grace passed", grace=self._settings.grpc.drain_grace)
        else:
            if busy:
                await asyncio.sleep(_LINGER)
        await self._stop()

    async def _keep_current(self, access: Reloading) -> None:
        """Take changed rules, and end the open calls that they do not allow."""
        judged = self._access.policy
        while True:
            await asyncio.sleep(self._settings.access.poll_seconds)
            try:
                await asyncio.to_thread(self.transport.refresh)
                await asyncio.to_thread(access.refresh)
            except Exception as error:
                logs.event(_logger, logging.ERROR, "policy not read", error=error)
                continue
            if self._access.policy != judged:  # a call may have had them taken, and then have gone away
                judged = self._access.policy
                self._judge_again()

    def _judge_again(self) -> None:
        """End the open calls that the rules in force do not allow."""
        if ended := self._open_calls.judge_again():
            logs.event(_logger, logging.WARNING, "calls ended by policy", calls=ended)

    async def _stop(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        await self._server.stop(0)
        if self._private is not None:
            await self._private.stop(0)
        self.transport.close()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._workers.close()
        try:
            self._recorder.close()
        except LikenessError as error:
            logs.event(_logger, logging.ERROR, "refusals not recorded", error=error)
        if self._composition is not None:
            self._composition.close()
            self._composition = None

    def _listen(self) -> int:
        return _listened(
            lambda address: self.transport.listen(self._server, address),
            self._settings.grpc.address,
            "address",
        )

    async def _report(self, status: health_pb2.HealthCheckResponse.ServingStatus.ValueType) -> None:
        served_names = {entry.name for entry in self._settings.served}
        for service in self._services:
            served = self._composition is not None and service.modality in self._composition.engines
            own = status if served else _STATUS.NOT_SERVING
            await self._health.set(service.name, own)
            if service.modality in served_names:
                metrics.serving(service.name).set(own == _STATUS.SERVING)
        await self._health.set(OVERSIGHT.name, status)
        await self._health.set(OVERALL, status)


def serve(
    settings: Settings,
    compose: Compose,
    *,
    services: tuple[Service, ...] = SERVICES,
    access: Callable[[Settings], Access] = access_of,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends the process at once.

    Args:
        settings: limits and addresses.
        compose: builds and warms the engines.
        services: what is offered.
        access: makes what judges every call.
        announce: called with the address when the service reports SERVING.

    Raises:
        Precondition: an address cannot be listened on.
        LikenessError: the engines could not be built.
    """
    with standard_error.collected():
        logs.configure(settings.log.level)
        logging.getLogger(_GRPC_LOGGER).addFilter(is_no_departure)
        page = _metrics_page(settings)
        try:
            asyncio.run(
                _serve(
                    settings,
                    lambda: Server(
                        settings, compose, services=services, access=access(settings), private_health=True
                    ),
                    announce,
                )
            )
        except LikenessError as error:
            logs.event(_logger, logging.ERROR, "not served", reason=error.reason)
            raise
        finally:
            if page is not None:
                page.close()


def _listened(listen: Callable[[str], int], address: str, setting: str) -> int:
    try:
        return listen(address)
    except RuntimeError as error:
        raise Precondition(
            f"The service cannot listen on {address}; stop what holds the port (`ss -ltnp` shows it), or set "
            f"{setting} to another one.",
            reason="ADDRESS_UNAVAILABLE",
            metadata={"address": address},
        ) from error


def is_no_departure(record: logging.LogRecord) -> bool:
    """Whether a line of gRPC's is about more than a client that left while its answer was being sent: the line of
    the call has that as CANCELLED, and gRPC's has a stack at ERROR."""
    return not record.getMessage().startswith("ExecuteBatchError raised in core")


def _metrics_page(settings: Settings) -> MetricsPage | None:
    if not settings.metrics.address:
        return None
    return MetricsPage(*split_address(settings.metrics.address))


async def _serve(
    settings: Settings, make: Callable[[], Server], announce: Callable[[str], None] | None
) -> None:
    stop = _stop_signal()
    server = make()
    await server.start()
    host, _ = split_address(settings.grpc.address)
    address = f"{host}:{server.port}"
    transport = server.transport
    logs.event(_logger, logging.INFO, "serving", address=address, transport=transport.words)
    if transport.trusts_everyone:
        logs.event(
            _logger, logging.WARNING, "everyone is trusted", address=address, transport=transport.words
        )
    if announce is not None:
        announce(address)
    await stop.wait()
    logs.event(_logger, logging.INFO, "draining", grace=settings.grpc.drain_grace)
    await server.drain()
    logs.event(_logger, logging.INFO, "stopped")


def _stop_signal() -> asyncio.Event:
    """An event that the first SIGTERM or SIGINT sets; the second ends the process.

    The second one may come while a thread is inside a model, so nothing is closed in good order: what was
    acknowledged is durable already, and the rest is redone by its client.
    """
    stop = asyncio.Event()

    def asked(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked, number)
    return stop
