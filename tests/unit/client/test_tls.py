"""What a client connects with."""

from __future__ import annotations

from pathlib import Path

import pytest

from likeness.client import AsyncLikenessClient, LikenessClient, Tls
from likeness.client.handshake import meaning
from tests.certificates import ServerFiles, credentials


def test_a_certificate_and_its_key_go_together(tmp_path: Path) -> None:
    files = ServerFiles(tmp_path).write()
    for tls in (Tls(certificate=files.folder / "tls.crt"), Tls(key=files.folder / "tls.key")):
        with pytest.raises(ValueError, match="give both"):
            tls.credentials()


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
