"""Finds the weights that an installed PyPI package carries as data."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from likeness.domain.errors import Corrupt, Precondition
from likeness.inference.models.digest import file_sha256


def packaged_file(requirement: str, name: str, sha256: str) -> Path:
    """Finds a data file inside an installed distribution without importing that distribution.

    Args:
        requirement: `distribution==version`.
        name: the file's own name, unique within the distribution.
        sha256: digest that the file must have.

    Returns:
        The path of the file, its digest checked.

    Raises:
        Precondition: the distribution is not installed, has another version or lacks the file.
        Corrupt: the file is there but its bytes are not the expected ones.
    """
    remedy = f"run: pip install '{requirement}'"
    distribution_name, _, version = requirement.partition("==")
    try:
        distribution = importlib.metadata.distribution(distribution_name)
    except importlib.metadata.PackageNotFoundError as error:
        raise Precondition(
            f"The weights come from {requirement}, which is not installed; {remedy}",
            reason="WEIGHTS_PACKAGE_MISSING",
        ) from error
    if distribution.version != version:
        raise Precondition(
            f"The weights come from {requirement}, but version {distribution.version} is installed; {remedy}",
            reason="WEIGHTS_PACKAGE_MISSING",
        )
    paths = [Path(str(file.locate())) for file in distribution.files or () if file.name == name]
    if len(paths) != 1 or not paths[0].is_file():
        raise Precondition(
            f"{requirement} is installed without its file {name}; {remedy} --force-reinstall",
            reason="WEIGHTS_PACKAGE_MISSING",
        )
    found = file_sha256(paths[0])
    if found != sha256:
        raise Corrupt(
            f"{paths[0]} has SHA-256 {found}, expected {sha256}; {remedy} --force-reinstall",
            reason="WEIGHTS_CORRUPT",
        )
    return paths[0]
