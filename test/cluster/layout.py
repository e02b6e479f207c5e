"""Sharded tables made by hand: what distribute_table makes, with nothing else that it does."""


def shard(cluster, create, table, key_type, buckets=8, lists=None, group=None):
    """Creates a table on every node with the statement given (PARTITION BY included), and its leaves and catalog rows.

    Bucket i belongs to node i modulo the number of nodes. lists: the values of each bucket, for list sharding. group: an
    id of a colocation group that an earlier call made.
    """
    first = cluster.nodes[0]
    table_id = first.value("SELECT coalesce(max(table_id), 0) + 1 FROM teamscale_internal.sharded_table")
    new_group = group is None
    if new_group:
        group = first.value("SELECT coalesce(max(group_id), 0) + 1 FROM teamscale_internal.colocation_group")
    bucket_base = group * 1000
    node_ids = [row[0] for row in first.execute("SELECT node_id FROM teamscale_internal.node ORDER BY 1")]
    count = len(lists) if lists else buckets
    for place, database in enumerate(cluster.nodes):
        with database.connect() as connection:
            connection.execute("SET teamscale.scope = local")
            connection.execute(create)
            for i in range(count):
                if i % len(cluster.nodes) != place:
                    continue
                values = ", ".join(quoted(value) for value in lists[i]) if lists else None
                bounds = f"IN ({values})" if lists else f"WITH (MODULUS {buckets}, REMAINDER {i})"
                connection.execute(
                    f"CREATE TABLE teamscale_bucket.leaf_{table_id}_{bucket_base + i} PARTITION OF {table} FOR VALUES {bounds}"
                )
            if new_group:
                connection.execute(
                    "INSERT INTO teamscale_internal.colocation_group SELECT %s, %s, oid, NULLIF(typcollation, 0), %s"
                    " FROM pg_type WHERE oid = %s::text::regtype",
                    [group, "list" if lists else "hash", None if lists else buckets, key_type],
                )
                for i in range(count):
                    connection.execute(
                        "INSERT INTO teamscale_internal.bucket VALUES (%s, %s, %s, %s, %s)",
                        [bucket_base + i, group, None, None, lists[i]]
                        if lists
                        else [bucket_base + i, group, buckets, i, None],
                    )
                    connection.execute(
                        "INSERT INTO teamscale_internal.placement VALUES (%s, %s)",
                        [bucket_base + i, node_ids[i % len(node_ids)]],
                    )
            connection.execute(
                "INSERT INTO teamscale_internal.sharded_table VALUES (%s, %s::text::regclass, %s)", [table_id, table, group]
            )
    return group


def quoted(value):
    return "'" + value.replace("'", "''") + "'"


def all_rows(cluster, query):
    """The rows of a query on every node's own part, as one sorted list."""
    rows = []
    for database in cluster.nodes:
        with database.connect() as connection:
            connection.execute("SET teamscale.scope = local")
            rows += connection.execute(query).fetchall()
    return sorted(rows, key=repr)


def rows_by_node(cluster, table):
    """How many rows each node holds."""
    return {name: all_rows_of(database, table) for name, database in cluster.by_name.items()}


def all_rows_of(database, table):
    with database.connect() as connection:
        connection.execute("SET teamscale.scope = local")
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
