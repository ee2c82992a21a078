"""Acts of operators, taken for the record by the process that has the store."""

from __future__ import annotations

import json
import os
import pwd
import socket
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from likeness.domain.audit import AuditEntry
from likeness.domain.errors import Unavailable
from likeness.domain.operators import HostAct, HostUser
from likeness.domain.storage import AuditReceipt
from likeness.store.act_socket import MAX_LINE_BYTES, ActSocket, hand_over, user_of
from likeness.store.places import ACTS
from likeness.store.store import Store
from tests.waiting import PATIENCE

ME = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a path that is longer than the address of a socket may be."""
    return tmp_path / ("long" * 30) / "home"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with Store.open(home, key_file=home / "keys.json") as store, closing(ActSocket(home, store.audit)):
        yield store


def rotate(home: Path, operator: str = "Jane Roe") -> AuditReceipt | None:
    return hand_over(
        home,
        HostAct.ROTATE_KEYS,
        operator,
        filters={"owner": "FR"},
        details={"key_ring": "ring"},
        seconds=PATIENCE,
    )


def sent(home: Path, line: bytes) -> dict[str, object]:
    """The answer to a line that no command of ours would send."""
    folder = os.open(home, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(PATIENCE)
        peer.connect(f"/proc/self/fd/{folder}/{ACTS}")
        os.close(folder)
        peer.sendall(line)
        with peer.makefile("rb") as file:
            answer: dict[str, object] = json.loads(file.readline())
    return answer


def test_an_act_is_on_record_with_the_user_of_the_system_before_it_is_answered(
    home: Path, store: Store
) -> None:
    receipt = rotate(home)
    (record,) = store.audit_entries()
    assert receipt == AuditReceipt(record.position, record.digest)
    entry = record.entry
    assert (entry.rpc, entry.outcome, entry.caller.entity) == ("RotateKeys", "OK", "(operator)")
    assert (entry.principal, entry.caller.operator) == (f"local:{ME}", "Jane Roe")
    assert (entry.filters, entry.details["key_ring"]) == ({"owner": "FR"}, "ring")


def test_nobody_says_as_whom_it_acts(home: Path, store: Store) -> None:
    line = {"act": "RotateKeys", "operator": "", "filters": {}, "details": {}, "user": "x", "principal": "x"}
    assert "position" in sent(home, json.dumps(line).encode() + b"\n")
    (record,) = store.audit_entries()
    assert record.entry.principal == f"local:{ME}"


def test_the_socket_is_for_its_user_alone_and_goes_with_the_store(home: Path) -> None:
    with Store.open(home, key_file=home / "keys.json") as store:
        with closing(ActSocket(home, store.audit)):
            assert stat.S_IMODE((home / ACTS).stat().st_mode) == 0o600
        assert not (home / ACTS).exists()
    assert rotate(home) is None


def test_what_a_killed_process_left_takes_no_act_and_is_replaced(home: Path) -> None:
    home.mkdir(parents=True)
    folder = os.open(home, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(f"/proc/self/fd/{folder}/{ACTS}")
    os.close(folder)
    assert rotate(home) is None
    with Store.open(home, key_file=home / "keys.json") as store, closing(ActSocket(home, store.audit)):
        assert rotate(home) is not None


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"[]\n",
        b"\xff\n",
        b'{"act": "Search", "operator": "", "filters": {}, "details": {}}\n',
        b'{"act": "RotateKeys", "operator": "", "filters": 7, "details": {}}\n',
        json.dumps({"act": "RotateKeys", "operator": "x" * 257, "filters": {}, "details": {}}).encode()
        + b"\n",
        b'{"act": "RotateKeys", "operator": "\\u001b[2J", "filters": {}, "details": {}}\n',
        b"[" * 20_000 + b"\n",
        b" " * (MAX_LINE_BYTES + 1),
    ],
    ids=lambda line: line[:40],
)
def test_what_is_no_act_is_refused_and_leaves_no_entry(home: Path, store: Store, line: bytes) -> None:
    assert sent(home, line)["reason"] == "INVALID_INPUT"
    assert store.audit_entries() == []


def test_one_who_sends_nothing_holds_nobody_up(home: Path, store: Store) -> None:
    folder = os.open(home, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(f"/proc/self/fd/{folder}/{ACTS}")
        os.close(folder)
        assert rotate(home) is not None


def test_what_cannot_be_recorded_is_refused_with_the_reason(tmp_path: Path) -> None:
    def full(_: AuditEntry) -> AuditReceipt:
        raise Unavailable("The disk is full.", reason="STORAGE_UNAVAILABLE")

    with closing(ActSocket(tmp_path, full)), pytest.raises(Unavailable, match="disk is full") as caught:
        rotate(tmp_path)
    assert caught.value.reason == "STORAGE_UNAVAILABLE"


def test_an_act_that_was_not_answered_may_be_on_record(tmp_path: Path) -> None:
    def broken(_: AuditEntry) -> AuditReceipt:
        raise ZeroDivisionError

    with closing(ActSocket(tmp_path, broken)), pytest.raises(Unavailable, match="audit show"):
        rotate(tmp_path)


def test_a_user_without_a_name_is_known_by_number() -> None:
    assert user_of(os.getpid(), 2**31 - 7) == HostUser("2147483641", user_of(os.getpid(), 2**31 - 7).login)
    assert user_of(os.getpid(), os.geteuid()).principal == f"local:{ME}"
