"""Floor 5: the command line. It speaks to a server through the client; tables go to a terminal, JSON to a pipe."""
