"""Alembic's entry point: runs in the connection and transaction that `store.migrate` hands over."""

from alembic import context

from likeness.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
