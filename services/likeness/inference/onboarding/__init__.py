"""Models that nobody has described yet: what a graph is, how well it does, and whether it computes rightly here."""
