"""Floor 0: what the product speaks of. Imports numpy and the standard library only."""
