"""What a store has in its folder whatever its backend."""

from __future__ import annotations

WITNESS = "likeness.head"
BACKED_UP = "likeness.backup"
"""Says when the last backup was made, and of what."""

RESTORING = "restoring"
"""The folder into which a backup is copied; while it is there a restore has not come to its end."""

SNAPSHOTS = "snapshots"
"""The folder of what indices save, a folder for each; what is in it was made from a database."""

SIGNING_KEY = "signing.key"
"""The name of the file of the signing key, in the folder of the key ring."""

ACTS = "acts.sock"
"""The socket on which the process that has the store open takes acts of operators for the record."""
