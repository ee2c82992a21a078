"""Doubles for the tests of those who build on Likeness, and for our own.

They need the extra `server`: `vectors` is a modality without models, `composition` has its engines over a real
store, and `server` is a real server over them in this process.
"""
