"""`likeness audit checkpoint` and `prove`: what the service states, signed, to witnesses and courts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
import typer

from likeness.app.settings import Settings
from likeness.cli.acts import Operator, put_on_record
from likeness.cli.local_store import read_only, seals, signer
from likeness.cli.options import AsJson
from likeness.cli.output import Output
from likeness.cli.settings_options import configured
from likeness.cli.texts import read_limited, write_text
from likeness.domain.errors import Corrupt, InvalidInput, Precondition
from likeness.domain.operators import HostAct
from likeness.store.act_socket import check_operator
from likeness.store.chain import AUDIT
from likeness.store.planting import disclose
from likeness.store.tree import check_tree, has_tree, tree_reader
from likeness.transparency.checkpoint import Checkpoint, open_checkpoint
from likeness.transparency.merkle import consistency_proof, inclusion_proof, root_of
from likeness.transparency.note import MAX_NOTE_BYTES, Note, encode64
from likeness.transparency.proof import EntryProof, Growth, is_growth

Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="Also write it to this file.", show_default=False)
]


@configured()
def checkpoint(
    *,
    since: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Add the proof that the audit only grew since it had so many entries: the size that the witness "
            "has seen, which `likeness audit witness show` names.",
            show_default=False,
        ),
    ] = None,
    out: Out = None,
    settings: Settings,
    as_json: AsJson = None,
) -> None:
    """State, signed, how many entries the audit has and the root of the tree over them; needs no key ring."""
    with read_only(settings) as connection:
        end = _end(connection)
        _check_since(since, end)
        read = tree_reader(connection)
        root = root_of(end, read)
        hashes = () if since is None else tuple(consistency_proof(since, end, read))
    key = signer(settings)
    stated = Checkpoint(key.name, end, root)
    note = stated.signed(key)
    text = str(note) if since is None else str(Growth(since, note, hashes))
    document = {"origin": stated.origin, "size": end, "root": encode64(stated.root), "checkpoint": text}
    _hand_out(text, document, out, as_json)


@configured()
def prove(
    entry: Annotated[int, typer.Argument(metavar="ENTRY", min=1, help="The entry's position in the audit.")],
    *,
    cosigned: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="A checkpoint that witnesses cosigned, to prove it by. Default: one of now, without a witness.",
            show_default=False,
        ),
    ] = None,
    out: Out = None,
    operator: Operator = "",
    settings: Settings,
    as_json: AsJson = None,
) -> None:
    """Prove to somebody who may see no other entry that the audit holds this one; what it says is in the proof."""
    key, opened = signer(settings), seals(settings)
    check_operator(operator)
    with read_only(settings) as connection:
        end = _end(connection)
        read = tree_reader(connection)
        if cosigned is None:
            note = Checkpoint(key.name, end, root_of(end, read)).signed(key)
        else:
            note = _cosigned(cosigned)
        stated = open_checkpoint(note, key.verifier)
        if stated.size > end or root_of(stated.size, read) != stated.root:
            raise Corrupt(
                f"The checkpoint of {stated.size} entries is not of this audit, which has {end}: the store is an "
                "older copy, or was changed. Restore the newest backup."
            )
        shown = disclose(connection, opened, entry)
        if entry > stated.size:
            raise Precondition(
                f"Entry {entry} came after the checkpoint of {stated.size} entries; have a later one cosigned."
            )
        proof = EntryProof(shown, tuple(inclusion_proof(entry - 1, stated.size, read)), note)
    put_on_record(settings, HostAct.PROVE_ENTRY, operator, details={"position": entry, "size": stated.size})
    document = {"position": entry, "origin": stated.origin, "size": stated.size, "proof": str(proof)}
    _hand_out(str(proof), document, out, as_json)


def _cosigned(path: Path) -> Note:
    """The checkpoint in a file.

    Raises:
        InvalidInput: it holds none, or what a witness is yet to cosign.
        OSError: the file cannot be read.
    """
    data = read_limited(path, MAX_NOTE_BYTES)
    if is_growth(data):
        raise InvalidInput(
            f"--checkpoint: {path} is what `likeness audit checkpoint --since` made for a witness, which has not "
            "cosigned it yet; give what the witness answered, the file of `likeness audit witness update --out`."
        )
    return Note.parse(data)


def _end(connection: sa.Connection) -> int:
    """How many entries the audit has, and its tree with it.

    Raises:
        Precondition: an older release wrote the store, and it has no tree yet.
        Corrupt: the tree does not end as the chain does.
    """
    if not has_tree(connection):
        raise Precondition(
            "The store was written by an older release and has no tree over its audit yet; start the service once, "
            "which makes it."
        )
    end = AUDIT.head(connection).position
    check_tree(connection, max(0, end - 1), end)
    return end


def _check_since(since: int | None, end: int) -> None:
    if since is not None and since > end:
        raise Precondition(
            f"The audit has {end} entries, fewer than the {since} that were seen: this store is an older copy. "
            "Restore the newest backup."
        )


def _hand_out(text: str, document: dict[str, object], out: Path | None, as_json: bool | None) -> None:
    if out is not None:
        write_text(out, text)
        document = {**document, "file": str(out)}
    Output(as_json).answer(document, text.rstrip("\n"))
