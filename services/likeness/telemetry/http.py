"""The metrics page, on a port of its own so that it can be reached without reaching the service."""

from __future__ import annotations

from prometheus_client import start_http_server

from likeness.domain.errors import Precondition
from likeness.telemetry.metrics import REGISTRY


class MetricsPage:
    """Serves /metrics over plain HTTP until closed.

    Args:
        host: the address to listen on.
        port: the port; 0 takes a free one.

    Raises:
        Precondition: the address is taken or not this machine's.
    """

    def __init__(self, host: str, port: int) -> None:
        try:
            self._server, self._thread = start_http_server(port, host, registry=REGISTRY)
        except OSError as error:
            raise Precondition(
                f"The metrics page cannot listen on {host}:{port} ({error.strerror}); stop what holds the port "
                "or set metrics_address to another one.",
                reason="ADDRESS_UNAVAILABLE",
                metadata={"address": f"{host}:{port}"},
            ) from error

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop listening and wait for the thread to end."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
