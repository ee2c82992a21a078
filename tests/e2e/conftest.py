"""What the end-to-end tests need: the default models, built, and photographs that come with packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from likeness.cli.demo import pictures
from likeness.domain.errors import Unavailable
from likeness.inference.catalogue import Catalogue, FileState, default_cache
from likeness.rpc.settings import load


@pytest.fixture(scope="session")
def models() -> None:
    """The default models; skips, saying so, where they are not built."""
    settings = load(environment={})
    catalogue = Catalogue.standard()
    for name in (settings.detector, settings.recogniser):
        if catalogue.state(catalogue.get(name)) is not FileState.READY:
            pytest.skip(f"model {name} is not built; run: likeness models build")


@pytest.fixture(scope="session")
def photographs() -> Path:
    """The demonstration's photographs; skips, saying so, where pip cannot fetch them."""
    try:
        return pictures.fetch(default_cache() / "demo-photographs", print)
    except Unavailable as error:
        pytest.skip(error.message)
