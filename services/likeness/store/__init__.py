"""Floor 1: references, the log of their changes and the audit chain, durable and sealed."""
