"""What a client connects with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from likeness.client import AsyncLikenessClient, LikenessClient, Tls, Unavailable
from likeness.client.handshake import meaning
from tests.certificates import EXAMINER, ServerFiles, authority, credentials


def test_a_certificate_and_its_key_go_together(tmp_path: Path) -> None:
    files = ServerFiles(tmp_path).write()
    for tls in (Tls(certificate=files.folder / "tls.crt"), Tls(key=files.folder / "tls.key")):
        with pytest.raises(ValueError, match="give both"):
            tls.credentials()


@pytest.mark.parametrize("kind", [LikenessClient, AsyncLikenessClient])
def test_a_pair_that_no_service_can_take_is_found_before_the_connection(
    tmp_path: Path, kind: type[LikenessClient | AsyncLikenessClient]
) -> None:
    now = datetime.now(UTC)
    one, other = ServerFiles(tmp_path / "one").write().folder, ServerFiles(tmp_path / "other").write().folder
    old = authority().client(EXAMINER, begins=now - timedelta(days=9), ends=now - timedelta(days=2))
    expired = ServerFiles(tmp_path / "expired").write(old).folder
    (tmp_path / "damaged.crt").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for certificate, key, words in (
        (one / "tls.crt", other / "tls.key", "is not the key of the certificate"),
        (one / "tls.key", one / "tls.key", "no certificate in PEM, but a private key"),
        (one / "tls.crt", one / "tls.crt", "no private key"),
        (expired / "tls.crt", expired / "tls.key", f"expired at {now - timedelta(days=2):%Y-%m-%d}"),
        (tmp_path / "damaged.crt", one / "tls.key", "cannot be read"),
    ):
        with pytest.raises(Unavailable, match=words) as failed:
            kind("127.0.0.1:1", entity="NCB-AA", tls=Tls(certificate=certificate, key=key))
        assert failed.value.reason == "HANDSHAKE_FAILED"
        assert all(str(path) in failed.value.message for path in (certificate, key)) or "expired" in words
    Tls(certificate=one / "tls.crt", key=one / "tls.key").credentials()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"ca\.crt"):
        LikenessClient("127.0.0.1:1", entity="NCB-AA", tls=Tls(tmp_path / "ca.crt"))


@pytest.mark.parametrize("kind", [LikenessClient, AsyncLikenessClient])
def test_a_token_is_never_sent_in_clear(kind: type[LikenessClient | AsyncLikenessClient]) -> None:
    with pytest.raises(ValueError, match="over TLS alone"):
        kind("127.0.0.1:1", entity="NCB-AA", token=str)


def test_credentials_are_given_in_one_way() -> None:
    with pytest.raises(ValueError, match="not both"):
        LikenessClient("127.0.0.1:1", entity="NCB-AA", tls=Tls(), credentials=credentials())


@pytest.mark.parametrize("details", ["", "Socket closed", "failed to connect to all addresses; refused"])
def test_of_other_failures_nothing_is_guessed(details: str) -> None:
    assert meaning(details) == ""
