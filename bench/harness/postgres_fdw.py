"""Tables over several databases as postgres_fdw does them: partitions that are foreign tables."""


def partitioned(table, nodes, create):
    """Statements that make the table, of which each node, by its partition's bounds, has a table of the same name."""
    statements = ["CREATE EXTENSION postgres_fdw", create]
    for number, (bounds, node) in enumerate(nodes.items()):
        statements += [
            f"CREATE SERVER node{number} FOREIGN DATA WRAPPER postgres_fdw"
            f" OPTIONS (host '127.0.0.1', port '{node.server.port}', dbname '{node.name}')",
            f"CREATE USER MAPPING FOR PUBLIC SERVER node{number}",
            f"CREATE FOREIGN TABLE {table}_{number} PARTITION OF {table} FOR VALUES {bounds}"
            f" SERVER node{number} OPTIONS (table_name '{table}', batch_size '100')",
        ]
    return statements


def hashed(nodes):
    """The bounds of one hash partition on each node."""
    return {f"WITH (MODULUS {len(nodes)}, REMAINDER {number})": node for number, node in enumerate(nodes)}
