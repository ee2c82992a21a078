"""Certificates for tests of mutual TLS, and the settings of a server that uses them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import grpc

from likeness.app.authority import Authority, Issued

TRUST_DOMAIN = "likeness.test"
EXAMINER = f"spiffe://{TRUST_DOMAIN}/aa/NCB-AA/examiner"


@cache
def authority(name: str = "likeness test") -> Authority:
    """An authority, the same for every test that names it so."""
    return Authority(name)


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """The files of a server's `[tls]`, in a folder."""

    folder: Path

    def write(self, issued: Issued | None = None, *, trusted: tuple[Authority, ...] = ()) -> ServerFiles:
        """Write them: the certificate, and which authorities its clients may come from."""
        made = issued or authority().server(["localhost", "127.0.0.1"])
        roots = b"".join(one.certificate for one in trusted or (authority(),))
        self.folder.mkdir(exist_ok=True)
        for name, content in (("tls.crt", made.certificate), ("tls.key", made.key), ("ca.crt", roots)):
            partial = self.folder / f"{name}.partial"
            partial.write_bytes(content)
            partial.rename(self.folder / name)
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """What a server is started with."""
        return {
            "tls.certificate": self.folder / "tls.crt",
            "tls.key": self.folder / "tls.key",
            "tls.authorities": self.folder / "ca.crt",
            "tls.trust_domain": TRUST_DOMAIN,
        }


def credentials(
    *uris: str,
    issuer: Authority | None = None,
    root: Authority | None = None,
    begins: datetime | None = None,
    ends: datetime | None = None,
) -> grpc.ChannelCredentials:
    """What a client connects with: a certificate with these URIs, and whom it trusts."""
    times = {name: value for name, value in (("begins", begins), ("ends", ends)) if value is not None}
    made = (issuer or authority()).client(*(uris or (EXAMINER,)), **times)
    return grpc.ssl_channel_credentials((root or authority()).certificate, made.key, made.certificate)
