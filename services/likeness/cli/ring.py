"""What the commands that change the key ring need of it and of its store."""

from __future__ import annotations

from pathlib import Path

from likeness.app.composition import key_file
from likeness.app.settings import Settings
from likeness.cli.acts import holder, store_alone
from likeness.cli.local_store import has_store
from likeness.domain.errors import Precondition
from likeness.store.store import Store


def check_begun(settings: Settings) -> Path:
    """The ring's file, which may be missing where there is a store: then it was lost.

    Raises:
        Precondition: there is neither ring nor store, so nothing was lost.
    """
    path = key_file(settings)
    if not path.exists() and not has_store(settings):
        raise Precondition(
            f"There is no key ring {path}, and no store in {settings.home}. Check the paths; where nothing has "
            "begun yet, the first start of the server makes both, or `likeness keys create` the ring."
        )
    return path


def opened_alone(settings: Settings, instead: str) -> Store:
    """The store, for this process alone.

    Raises:
        Precondition: a server has it; says what to do instead.
    """
    try:
        return store_alone(settings)
    except Precondition as error:
        if error.reason != "STORE_IN_USE":
            raise
        raise Precondition(
            f"Process {holder(settings)} holds {settings.home}. {instead}", reason=error.reason
        ) from error
