"""PostgreSQL: engine, roles, tables' metadata, migrations."""
