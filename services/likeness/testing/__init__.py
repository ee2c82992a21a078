"""Doubles for the tests of those who build on Likeness, and for our own.

`channel` stands in place of a connection, and needs the client alone. The rest needs the extra `server`: `vectors`
is a modality without models, `composition` has its engines over a real store, and `server` is a real server over
them in this process.
"""
