"""A Merkle tree over the audit, its signed checkpoints, and what a witness or a court checks without the service.

Nothing here needs a store, a key ring or a model: the package stands on `cryptography` and the tree of errors.
"""
