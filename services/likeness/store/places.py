"""What a store has in its folder whatever its backend."""

from __future__ import annotations

WITNESS = "likeness.head"
SNAPSHOTS = "snapshots"
"""The folder of what indices save, a folder for each; what is in it was made from a database."""

SIGNING_KEY = "signing.key"
"""The name of the file of the signing key, in the folder of the key ring."""
