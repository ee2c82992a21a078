"""The section of the settings that says who may do what."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from likeness.engine.entry import Section


class AccessSettings(Section):
    """`[access]`: the directory of who there is, and the policies. Changed files are taken without a restart."""

    directory: Path | None = Field(
        default=None,
        description="The directory, TOML or JSON: countries, bureaus, entities, and principals with their roles. "
        "Needed with TLS; without TLS everybody is taken for whom they say they are.",
    )
    policies: Path | None = Field(
        default=None,
        description="A file of policies in Cedar, or a folder of which every *.cedar counts; unset means those "
        "that ship.",
    )
    suspensions: Path | None = Field(
        default=None,
        description="The file of entities that are cut off, which `likeness policy suspend` writes; unset means "
        "suspended.json beside the directory.",
    )
    poll_seconds: float = Field(
        default=1.0,
        gt=0,
        le=60,
        description="Seconds between two looks for changes of these files.",
    )
