"""Options that say which entries of the audit are wanted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from likeness.cli.files import MAX_FILE_BYTES
from likeness.domain.errors import InvalidInput

_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]

Case = Annotated[str, typer.Option(help="Of this case.", show_default=False)]
Entity = Annotated[str, typer.Option(help="Asked for by this entity.", show_default=False)]
Operator = Annotated[str, typer.Option(help="Asked for by this person there.", show_default=False)]
Principal = Annotated[
    str,
    typer.Option(help="By who was proven to call: of the certificate, or of the token.", show_default=False),
]
Since = Annotated[
    datetime | None,
    typer.Option("--from", formats=_FORMATS, help="Not before this time, UTC.", show_default=False),
]
Until = Annotated[
    datetime | None, typer.Option("--to", formats=_FORMATS, help="Before this time, UTC.", show_default=False)
]
ReferenceId = Annotated[str, typer.Option(help="That name or answer this reference.", show_default=False)]
Owner = Annotated[str, typer.Option(help="That answer a reference of this owner.", show_default=False)]
Method = Annotated[str, typer.Option(help="Of this method, such as Search.", show_default=False)]
Outcome = Annotated[str, typer.Option(help="OK, or the reason of a refusal.", show_default=False)]
Probe = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, help="Done with this sample, byte for byte.", show_default=False
    ),
]


def moment(given: datetime | None) -> datetime | None:
    """A time as it was given, in UTC where it does not say."""
    return given.replace(tzinfo=UTC) if given is not None and given.tzinfo is None else given


def probe_bytes(path: Path) -> bytes:
    """The bytes of a sample.

    Raises:
        InvalidInput: it is longer than any sample.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise InvalidInput(f"{path} has more than {MAX_FILE_BYTES} bytes; no service takes such a sample.")
    return data
