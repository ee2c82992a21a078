"""The demonstration: one section per modality, over a real server."""
