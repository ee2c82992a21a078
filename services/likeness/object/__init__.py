"""Photographs of objects: the global embedding, local descriptors, and their geometric verification."""
