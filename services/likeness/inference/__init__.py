"""Floor 1: models described by manifests, run by onnxruntime, batched across callers.

`models.runtime` holds the only import of onnxruntime; everything above it speaks numpy arrays.
"""
