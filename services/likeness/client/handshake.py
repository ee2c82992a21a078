"""What gRPC's words about a connection that did not come about mean."""

from __future__ import annotations

REASON = "HANDSHAKE_FAILED"
"""Of an error that this client recognises itself; the service has not seen the call."""

_MEANINGS = (
    (
        "CERTIFICATE_VERIFY_FAILED",
        "The service's certificate is not of an authority that this client trusts, or is out of its time; give the "
        "certificate of its authority.",
    ),
    (
        "Hostname Verification Check failed",
        "The service's certificate is not for the address that was called; call it by a name in its certificate.",
    ),
    (
        "WRONG_VERSION_NUMBER",
        "The service speaks no TLS at this address; call its address for TLS, or leave the certificates out.",
    ),
    (
        "Socket closed",
        "The service closed the connection before it took a call. Where it demands mutual TLS it does so with who "
        "comes without TLS, without a certificate, or with one that has expired or is not of its authorities.",
    ),
)
_NOT_CONNECTED = "failed to connect to all addresses"


def meaning(details: str) -> str:
    """What to do about a connection that failed with these details of gRPC's; empty where that is not known."""
    if _NOT_CONNECTED not in details:
        return ""
    return next((words for sign, words in _MEANINGS if sign in details), "")
