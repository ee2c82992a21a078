"""Fingerprint templates: records, minutiae, the shortlist's vectors and the exact comparison."""
