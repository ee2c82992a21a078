"""The modalities of a client, each as an attribute of its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

MethodsT = TypeVar("MethodsT")


class ByModality(Generic[MethodsT]):
    """The methods of every modality that the protocol has, under its name and by `of`.

    The attributes are declared for whoever writes `client.face`; what is there is what the protocol's table has.
    """

    face: MethodsT
    """Photographs of faces."""
    fingerprint: MethodsT
    """Finger minutiae records."""
    object: MethodsT
    """Photographs of objects."""

    _modalities: Mapping[str, MethodsT]

    def _bind_modalities(self, modalities: Mapping[str, MethodsT]) -> None:
        self._modalities = modalities
        for name, methods in modalities.items():
            setattr(self, name, methods)

    def of(self, modality: str) -> MethodsT:
        """The methods of the modality of that name.

        Raises:
            KeyError: there is none.
        """
        return self._modalities[modality]
