"""`likeness audit witness` and `check-proof`, also as `likeness-witness`: what bureaus and courts run.

Nothing here needs the service, its store or its keys: the packages of the extra `witness` are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.text import Text

from likeness.cli.failures import EXIT_CODES, Commands
from likeness.cli.options import AsJson
from likeness.cli.output import Output, tolerate_encodings
from likeness.cli.proof_sheet import proven_document, rows
from likeness.cli.texts import read_limited, write_text
from likeness.domain.errors import InvalidInput
from likeness.transparency import witness as witnesses
from likeness.transparency.checkpoint import check_cosigned
from likeness.transparency.note import MAX_NOTE_BYTES, Note, VerifierKey, encode64
from likeness.transparency.proof import MAX_PROOF_BYTES, EntryProof, Growth, check_proof
from likeness.transparency.receipt import ExpungementReceipt
from likeness.transparency.witness import Witness

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="Watch the audit of a service from outside: check that it only ever grows, and cosign what was checked.",
)

State = Annotated[
    Path, typer.Argument(metavar="STATE", help="The witness's file: its key, and what it saw last.")
]
LogKey = Annotated[
    str,
    typer.Option(
        "--key",
        metavar="VKEY",
        help="The log's key as `likeness keys export-public` shows it, or a file that holds it.",
    ),
]
KeyOut = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Also write the witness's public key to this file.", show_default=False),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Also write the cosigned checkpoint to this file.", show_default=False),
]


@app.command(
    epilog="Example: `likeness audit witness init hub.witness --name police.example/witness --key hub.vkey --out "
    "witness.vkey`; give the key that it shows to whoever is to check proofs."
)
def init(
    state: State,
    *,
    name: Annotated[
        str, typer.Option("--name", help="The witness's name, best an address without a scheme.")
    ],
    key: LogKey,
    out: KeyOut = None,
    as_json: AsJson = None,
) -> None:
    """Make a witness of one log, with a key of its own, and show its public key.

    A witness that exists is never overwritten.
    """
    made = witnesses.create(state, name, _log_key(key))
    if out is not None:
        write_text(out, f"{made.signer.verifier}\n")
    Output(as_json).answer(_document(made), str(made.signer.verifier))


@app.command(
    epilog="Examples: `likeness audit witness update hub.witness hub.checkpoint --out hub.cosigned`; exit code 5 "
    "if the log was changed, cut off or forked. Send the result back to the service, where `likeness audit prove 1 "
    "--checkpoint hub.cosigned --out entry.tlog-proof` proves an entry by it."
)
def update(
    state: State,
    checkpoint: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `likeness audit checkpoint --since SIZE` gave.")
    ],
    *,
    out: Out = None,
    as_json: AsJson = None,
) -> None:
    """Check that a checkpoint goes on from the last one that was seen, remember it, and cosign it."""
    growth = Growth.parse(read_limited(checkpoint, MAX_NOTE_BYTES))
    updated = witnesses.update(state, growth, datetime.now(UTC))
    if out is not None:
        write_text(out, str(updated.cosigned))
    Output(as_json).answer(_document(updated), str(updated.cosigned))


@app.command(
    epilog="Example: `likeness audit witness change-key hub.witness --key hub.vkey`; only for a key that came by a "
    "way on which nobody can change it."
)
def change_key(state: State, *, key: LogKey, as_json: AsJson = None) -> None:
    """Take another signing key of the log; what was seen stays, and the next checkpoint must go on from there."""
    changed = witnesses.change_key(state, _key(key))
    Output(as_json).answer(_document(changed), f"{state}: takes checkpoints of {changed.log} from now on")


@app.command(
    epilog="Example: `likeness audit witness show hub.witness`; the size is what the next proof must begin with."
)
def show(state: State, *, as_json: AsJson = None) -> None:
    """Show a witness's name and key, and the last checkpoint that it cosigned."""
    document = _document(witnesses.load(state))
    Output(as_json).answer(document, rows({k: v for k, v in document.items() if k != "checkpoint"}))


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `likeness audit prove` gave.")],
    *,
    key: LogKey,
    witness_key: Annotated[
        list[str] | None,
        typer.Option(
            "--witness-key",
            metavar="VKEY",
            help="The key of a witness that must have cosigned, or a file that holds it; repeatable.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = None,
) -> None:
    """Check, without the service, that an audit holds an entry, and show the entry; exit code 5 if not.

    Without the key of a witness this shows what the service signed, but not that it tells others the same.
    """
    proof = EntryProof.parse(read_limited(file, MAX_PROOF_BYTES))
    proven = check_proof(proof, *_keys(key, witness_key or []))
    document = proven_document(proven)
    facts = {k: v for k, v in document.items() if k not in ("entry", "verdict")}
    shown = Group(rows(facts, document["entry"]), Text(document["verdict"], style="bold"))
    Output(as_json).answer(document, shown)


def check_receipt(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The receipt that `likeness expunge` showed.")],
    *,
    key: LogKey,
    as_json: AsJson = None,
) -> None:
    """Check, without the service, a receipt of what was expunged, and show what it states.

    Exit code 5 if the service did not sign it.
    """
    # A copy from a terminal begins and ends with another number of empty lines.
    copied = read_limited(file, MAX_NOTE_BYTES).strip(b"\n")
    stated = ExpungementReceipt.open(Note.parse(copied + b"\n"), _log_key(key))
    document: dict[str, object] = {
        "log": stated.origin,
        stated.kind.value: stated.name,
        "free_from_log_position": stated.log_position,
        "expunged_at": stated.at.isoformat(),
    }
    Output(as_json).answer(document, rows(document))


RECEIPT_EXAMPLE = "Example: `likeness audit check-receipt expunged.receipt --key hub.vkey`"
CHECK_EXAMPLE = "Example: `likeness audit check-proof entry.tlog-proof --key hub.vkey`"


def main() -> None:
    """Run `likeness-witness`."""
    tolerate_encodings()
    program = typer.Typer(
        cls=Commands,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Watch the audit of a Likeness service from outside, and check what it proves.",
        epilog=EXIT_CODES,
    )
    for registered in app.registered_commands:
        program.registered_commands.append(registered)
    program.command("check-proof")(check)
    program.command("check-receipt")(check_receipt)
    program(prog_name="likeness-witness")


def _keys(log: str, given: Sequence[str]) -> tuple[VerifierKey, list[VerifierKey]]:
    """The key of a log, and those of witnesses.

    Raises:
        InvalidInput: one is none, or is of the other kind.
        OSError: a file cannot be read.
    """
    of_log, of_witnesses = _key(log), [_key(text) for text in given]
    logs = [key.name for key in of_witnesses if not key.is_witness]
    if of_log.is_witness and logs:
        raise InvalidInput(
            f"--key has the key of the witness {of_log.name}, and --witness-key that of the log {logs[0]}: the two "
            "seem to be swapped."
        )
    if logs:
        raise InvalidInput(
            f"--witness-key has the key of the log {logs[0]}; give what `likeness audit witness init` showed."
        )
    return _checked(of_log), of_witnesses


def _log_key(text: str) -> VerifierKey:
    """The key of a log; raises as `_keys`."""
    return _checked(_key(text))


def _checked(key: VerifierKey) -> VerifierKey:
    if key.is_witness:
        raise InvalidInput(
            f"--key has the key of the witness {key.name}; give the log's, as `likeness keys export-public` "
            "shows it."
        )
    return key


def _key(text: str) -> VerifierKey:
    """A verifier key, from its text or from the file that it is in.

    Raises:
        InvalidInput: it is none.
        OSError: the file cannot be read.
    """
    if "+" in text:
        return VerifierKey.parse(text)
    return VerifierKey.parse(read_limited(Path(text), MAX_NOTE_BYTES).decode("utf-8", "replace"))


def _document(found: Witness) -> dict[str, object]:
    seen = found.seen
    at = "" if found.cosigned is None else check_cosigned(found.cosigned, found.signer.verifier).isoformat()
    return {
        "name": found.signer.name,
        "verifier_key": str(found.signer.verifier),
        "log": found.log.name,
        "size": seen.size,
        "root": encode64(seen.root),
        "cosigned_at": at,
        "checkpoint": "" if found.cosigned is None else str(found.cosigned),
    }
