"""How files of pictures that are read here are called."""

from __future__ import annotations

PICTURE_ENDINGS = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff"})
"""Endings of files, in lower case, with the dot."""
