"""What a generation of an index is called, and what an index is saved as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Generation:
    """One build of an index.

    `name` never names other contents. `kind` and `params` say how it is searched, `space` whose vectors it holds.
    It has applied the log at least up to `position`; `rows` vectors were live when it was built.
    """

    name: str
    space: str
    kind: str
    position: int
    rows: int
    params: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class IndexState:
    """A consistent copy of an index: what it says of itself (JSON) and its arrays, by name."""

    generation: Generation
    about: Mapping[str, object]
    arrays: Mapping[str, NDArray[np.generic]]

    @classmethod
    def of(cls, about: object, arrays: Mapping[str, NDArray[np.generic]]) -> IndexState:
        """What `about` and `arrays` describe; raises KeyError, TypeError or ValueError where they do not."""
        if not isinstance(about, dict):
            raise TypeError("the index does not describe itself")
        said = about["generation"]
        generation = Generation(
            str(said["name"]),
            str(said["space"]),
            str(said["kind"]),
            int(said["position"]),
            int(said["rows"]),
            {str(name): int(value) for name, value in said["params"].items()},
        )
        return cls(generation, about, arrays)
