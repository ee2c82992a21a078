"""A log in memory, as a store keeps it: rows of its audit and of the tree, made by the store's own code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from likeness.store.audit import AuditPlan
from likeness.store.chain import EMPTY, Head
from likeness.store.sealing import Seals
from likeness.store.vault import KeyRing
from likeness.transparency.checkpoint import Checkpoint
from likeness.transparency.disclosure import Disclosure
from likeness.transparency.merkle import Edge, consistency_proof, inclusion_proof, root_of, stored_place
from likeness.transparency.note import Note, Signer
from likeness.transparency.proof import EntryProof, Growth

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Act:
    """What is put on record, and when."""

    minute: int
    body: bytes


def act(number: int) -> Act:
    return Act(number, json.dumps({"case": f"case-{number}", "rpc": "Search"}).encode())


class Log:
    """The rows that a hub stores, with every key that it has."""

    def __init__(self, seals: Seals, signer: Signer, acts: Sequence[Act] = ()) -> None:
        self.seals, self.signer = seals, signer
        self.acts: list[Act] = []
        self.ends: list[tuple[Head, Edge]] = [(EMPTY, Edge())]
        self.rows: list[tuple[int, bytes, bytes, bytes]] = []  # time, sealed body, digest, hashes
        for one in acts:
            self.add(one)

    def add(self, one: Act) -> None:
        head, edge = self.ends[-1]
        plan = AuditPlan(self.seals, head, edge, BEGIN + timedelta(minutes=one.minute))
        plan.add(one.body)
        (row,), (tree,) = plan._rows, plan._tree
        values = (row["at"], row["body"], row["digest"], tree["hashes"])
        self.rows.append(values)  # type: ignore[arg-type]
        self.acts.append(one)
        self.ends.append((plan.head, plan.edge))

    def rewritten(self, acts: Sequence[Act]) -> Log:
        """Another history: what both have in common stays, all after it is sealed and chained again."""
        common = 0
        while common < min(len(acts), len(self.acts)) and acts[common] == self.acts[common]:
            common += 1
        other = Log(self.seals, self.signer)
        other.acts, other.rows, other.ends = (
            self.acts[:common],
            self.rows[:common],
            self.ends[: common + 1],
        )
        for one in acts[common:]:
            other.add(one)
        return other

    @property
    def size(self) -> int:
        return len(self.rows)

    def read(self, level: int, index: int) -> bytes:
        position, place = stored_place(level, index)
        return self.rows[position - 1][3][place]

    def root(self, size: int | None = None) -> bytes:
        return root_of(self.size if size is None else size, self.read)

    def checkpoint(self, size: int | None = None) -> Note:
        stated = self.size if size is None else size
        return Checkpoint(self.signer.name, stated, self.root(stated)).signed(self.signer)

    def growth(self, old: int) -> Growth:
        return Growth(old, self.checkpoint(), tuple(consistency_proof(old, self.size, self.read)))

    def proof(self, position: int, note: Note | None = None) -> EntryProof:
        stated = note or self.checkpoint()
        size = Checkpoint.parse(stated.text).size
        at, sealed, digest, _ = self.rows[position - 1]
        salt = self.seals.audit_salt(sealed, digest)
        shown = Disclosure(position, at, digest, salt, self.acts[position - 1].body)
        return EntryProof(shown, tuple(inclusion_proof(position - 1, size, self.read)), stated)


def hub(entries: int) -> Log:
    """The log of a hub with some entries."""
    ring = KeyRing({KEY_ID: KEY}, KEY_ID)
    return Log(Seals(ring), Signer.generate("hub.example/audit"), [act(i) for i in range(entries)])


KEY = bytes(range(32))
KEY_ID = "0123456789abcdef"
