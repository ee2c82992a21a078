"""How a client proves who it is, and knows its service: certificates, and a token for the person behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc

from likeness.client.own_certificate import check_pair

Token = str | Callable[[], str]
"""A bearer token, or what gives one for each call, from whatever thread, so that it can be renewed."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of certificates, PEM, read when a client is made.

    Args:
        authorities: of the authorities that the service's certificate must come from; None takes those that gRPC
            brings along.
        certificate: the client's own and those between it and its authority.
        key: the private key of the certificate.
    """

    authorities: Path | str | None = None
    certificate: Path | str | None = None
    key: Path | str | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """For a channel of gRPC.

        Raises:
            ValueError: a certificate without its key, or the other way round.
            OSError: a file cannot be read.
            Unavailable: no service can take the certificate: it or the key is none, they do not belong together, or
                the certificate has expired. The reason is HANDSHAKE_FAILED.
        """
        if (self.certificate is None) is not (self.key is None):
            raise ValueError("a certificate is of use with its key alone; give both")
        if self.certificate is not None and self.key is not None:
            check_pair(Path(self.certificate), Path(self.key))
        return grpc.ssl_channel_credentials(*map(_content, (self.authorities, self.key, self.certificate)))


def channel_credentials(
    tls: Tls | None, credentials: grpc.ChannelCredentials | None, token: Token
) -> grpc.ChannelCredentials | None:
    """What a channel is opened with; None opens one without encryption.

    Raises:
        ValueError: both kinds of credentials are given, or a token without any.
        OSError: a file cannot be read.
    """
    if tls is not None and credentials is not None:
        raise ValueError("give tls or credentials, not both")
    own = tls.credentials() if tls is not None else credentials
    if not token:
        return own
    if own is None:
        raise ValueError("a token is sent over TLS alone, where nobody else reads it; give tls too")
    return grpc.composite_channel_credentials(own, grpc.metadata_call_credentials(_Bearer(token)))


class _Bearer(grpc.AuthMetadataPlugin):
    """Adds the token to each call (RFC 6750, 2.1)."""

    def __init__(self, token: Token) -> None:
        self._token = token

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        del context
        try:
            token = self._token if isinstance(self._token, str) else self._token()
        except Exception as error:
            callback((), error)
        else:
            callback((("authorization", f"Bearer {token}"),), None)


def _content(path: Path | str | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()
