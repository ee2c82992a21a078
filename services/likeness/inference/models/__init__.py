"""Models: what describes them, where their files are, what checks them, and how they are run by onnxruntime."""
