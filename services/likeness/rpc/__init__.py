"""Floor 5: the public door; the only package that speaks gRPC, and the only one with async code."""

import os

# gRPC's core writes to standard error in the words of whoever is at the other end; it reads this when it is loaded.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
