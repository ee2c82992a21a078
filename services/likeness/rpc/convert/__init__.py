"""Between the protocol's messages and the domain's values: requests in, answers out, and nothing else."""
