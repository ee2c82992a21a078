"""Floor 6: the command line. It speaks to a server through the client; tables go to a terminal, JSON to a pipe."""

import os

# numpy's OpenBLAS sizes its pool when it is loaded, by the machine's processors; work is spread over threads by
# request, not inside one, and small products are ten times slower on many threads than on one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# gRPC's core writes to standard error in the words of whoever is at the other end.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
