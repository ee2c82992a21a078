"""Likeness: face, fingerprint-template and object-image search with honest error rates."""
