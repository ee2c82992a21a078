"""What the build scripts of models share: weights out of packages, ONNX files out of weights.

Needed to build a model, never to serve one; the `onnx` package is imported only here, and only when used.
"""
