"""Likeness: face, fingerprint-template and object-image search with honest error rates."""

DISTRIBUTION = "likeness-search"
"""What pip knows this product as; another project has the name `likeness` on PyPI."""

__version__ = "0.1.0"
