"""`likeness keys export-public` and `replace-signing-key`: the key that the audit's checkpoints are signed with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from likeness.app.composition import signing_file
from likeness.app.settings import Settings
from likeness.cli.acts import Operator, this_user
from likeness.cli.confirming import confirm
from likeness.cli.local_store import has_store, signer
from likeness.cli.options import AsJson
from likeness.cli.output import Output, note
from likeness.cli.ring import opened_alone
from likeness.cli.settings_options import configured
from likeness.cli.texts import write_text
from likeness.domain.audit import JsonValue
from likeness.domain.errors import Precondition
from likeness.domain.operators import HostAct, entry_of
from likeness.store.act_socket import check_operator
from likeness.store.signing import new_signer, put_signer


@configured()
def export_public(
    *,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also write it to this file.", show_default=False)
    ] = None,
    as_json: AsJson = None,
    settings: Settings,
) -> None:
    """Show the public half of the key that the audit's checkpoints are signed with; the key is made if need be."""
    path = signing_file(settings)
    is_new = not path.exists()
    key = signer(settings).verifier
    if out is not None:
        write_text(out, f"{key}\n")
    document = {"name": key.name, "key_id": key.key_id.hex(), "verifier_key": str(key), "file": str(path)}
    Output(as_json).answer(document, str(key))
    if is_new:
        note(f"{path} was made: keep a copy with that of the key ring, or witnesses must be set up again")


@configured(ring=True)
def replace_signing_key(
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    operator: Operator = "",
    as_json: AsJson = None,
    settings: Settings,
) -> None:
    """Make another signing key in place of one that was lost, or that others may have.

    Every witness must take the new public key, and receipts and proofs from before are checked with the former one.
    The name of the log is that of the setting audit.origin, or a new one.
    """
    check_operator(operator)
    path = signing_file(settings)
    if not has_store(settings):
        raise Precondition(
            f"There is no store at {settings.home} that {path} signs for; name its folder with --home. Where "
            "nothing has begun yet, the first start of the server makes the key."
        )
    warning = "every witness must then take the new public key; a key that is there is overwritten"
    confirm(f"Replace {path}?", "replace the signing key", yes=yes, warning=warning)
    made = new_signer(settings.audit.origin)
    with opened_alone(settings, "Stop it and run this again.") as store:
        former, now = store.signer_on_record(), str(made.verifier)
        details: dict[str, JsonValue] = {"former_key": former, "key": now, "file": str(path)}
        store.audit(entry_of(HostAct.REPLACE_SIGNING_KEY, this_user(), operator, details=details))
        put_signer(path, made)
        store.record_signer(now)
    document = {"file": str(path), "former_key": former, "verifier_key": now}
    Output(as_json).answer(document, now)
    note(
        f"{path} was made: keep a copy with that of the key ring, and give the new public key to every witness"
    )
