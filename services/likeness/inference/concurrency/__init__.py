"""How the work of concurrent requests shares cores, batches, processes and memory."""
