"""The backend that keeps a store in a SQLite file of its folder."""

from likeness.store.sqlite import dialect as _dialect  # noqa: F401  what SQLite writes is known wherever it is used
