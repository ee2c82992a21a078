"""The backend that keeps a store in a SQLite file of a data directory."""
