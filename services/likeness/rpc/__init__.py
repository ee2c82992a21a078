"""Floor 4: the public door; the only package that speaks gRPC, and the only one with async code."""
