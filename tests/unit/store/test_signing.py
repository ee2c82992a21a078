"""The file of the signing key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from likeness.domain.errors import Corrupt, InvalidInput, Precondition, Unavailable
from likeness.store.signing import signing_key
from likeness.transparency.note import Algorithm, Signer


def test_it_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "signing.key"
    signer = signing_key(path, "hub.example/audit")
    assert signer.name == "hub.example/audit"
    assert path.stat().st_mode & 0o777 == 0o600
    assert signing_key(path) == signing_key(path, "hub.example/audit") == signer
    assert [file.name for file in path.parent.iterdir()] == ["signing.key"]


def test_without_an_origin_each_log_has_a_name_of_its_own(tmp_path: Path) -> None:
    names = {signing_key(tmp_path / name).name for name in ("a", "b")}
    assert len(names) == 2


def test_a_key_of_another_log_is_not_used(tmp_path: Path) -> None:
    signing_key(tmp_path / "key", "hub.example/audit")
    with pytest.raises(Precondition, match=r"hub\.example/audit.*other\.example"):
        signing_key(tmp_path / "key", "other.example")


def test_a_key_that_is_known_is_not_made_again_where_its_file_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    known = str(signing_key(path, "hub.example/audit").verifier)
    assert str(signing_key(path, known=known).verifier) == known
    path.unlink()
    with pytest.raises(
        Precondition, match=r"signing\.key is missing.*hub\.example/audit\+.*replace-signing-key"
    ) as lost:
        signing_key(path, known=known)
    assert (lost.value.reason, path.exists()) == ("SIGNING_KEY_MISSING", False)


def test_another_key_than_is_known_is_not_used(tmp_path: Path) -> None:
    known = str(Signer.generate("hub.example/audit").verifier)
    signing_key(tmp_path / "key", "hub.example/audit")  # of the same name
    with pytest.raises(Precondition, match="put that key back") as other:
        signing_key(tmp_path / "key", "hub.example/audit", known=known)
    assert other.value.reason == "SIGNING_KEY_OF_ANOTHER_LOG"


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    signing_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(Precondition, match="chmod 600") as caught:
        signing_key(tmp_path / "key")
    assert caught.value.reason == "KEY_FILE_EXPOSED"


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"x" * 5000, Signer.generate("hub", Algorithm.COSIGNATURE).private_text.encode()],
    ids=["empty", "not text", "too long", "of a witness"],
)
def test_what_holds_no_key_of_a_log_is_refused_and_left(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(Corrupt, match="restore it"):
        signing_key(path)
    assert path.read_bytes() == content


def test_a_name_that_is_none_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        signing_key(tmp_path / "key", "a b")
    assert not (tmp_path / "key").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(Unavailable, match=r"signing\.key"):
        signing_key(tmp_path / "signing.key")
