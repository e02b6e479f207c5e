"""A cluster with a sharded table, as tests of nodes use it."""

import psycopg


def shard(cluster):
    """Gives the cluster a table team of 60 rows over its nodes, and says which keys each node holds (cluster.keys)."""
    a = cluster["a"]
    a.execute("CREATE TABLE team (id bigint PRIMARY KEY, name text)")
    a.execute("INSERT INTO team SELECT i, 'team ' || i FROM generate_series(1, 60) AS i")
    a.execute("SELECT teamscale.distribute_table('team', 'id', buckets => 8)")
    cluster.keys = {}
    for key, node in a.execute("SELECT i, teamscale.node_of('team', i) FROM generate_series(1, 60) AS i"):
        cluster.keys.setdefault(node, []).append(key)
    return cluster


def key_of(cluster, node):
    """A key that the node holds."""
    return cluster.keys[node][0]


def name_of(database, key):
    return database.value("SELECT name FROM team WHERE id = %s", [key])


def answers(database, key):
    """What a read gives: the name, or the SQLSTATE of its error."""
    try:
        return name_of(database, key)
    except psycopg.Error as error:
        return error.sqlstate


def serves_all(database, cluster):
    """Whether a database gives the rows of every node."""
    return all(name_of(database, key) == f"team {key}" for (key, *_) in cluster.keys.values())


def states(database):
    """The nodes and their states, as a database knows them."""
    return dict(database.execute("SELECT name, state FROM teamscale.node"))


def catalog(database):
    """The catalog as all nodes must have it."""
    tables = ("cluster", "node", "colocation_group", "bucket", "placement", "sharded_table")
    return {t: database.execute(f"SELECT t::text FROM teamscale_internal.{t} AS t ORDER BY 1") for t in tables}
