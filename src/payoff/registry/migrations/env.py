"""Where Alembic starts. `payoff.store.database` hands over the connection and the options; nothing runs without it."""

from alembic import context

from payoff.registry.schema import metadata

context.configure(target_metadata=metadata, **context.config.attributes["options"])
with context.begin_transaction():
    context.run_migrations()
