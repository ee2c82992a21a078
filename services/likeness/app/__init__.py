"""Floor 4: settings, the registry of modalities, and the composition of a process; knows no door."""
