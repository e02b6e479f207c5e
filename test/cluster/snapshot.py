"""All that a database defines, as one value: equal when nothing was made, changed or dropped."""

QUERIES = [
    """SELECT oid, relname, relnamespace, relkind, relowner, relam, reltablespace, relacl::text, reloptions, relhasindex,
              relhasrules, relhastriggers, relrowsecurity, relreplident, relispartition
       FROM pg_class WHERE oid >= 16384 AND relkind <> 't'""",
    "SELECT oid, typname, typnamespace, typowner FROM pg_type WHERE oid >= 16384",
    "SELECT oid, proname, pronamespace, proowner, proacl::text, prosrc FROM pg_proc WHERE oid >= 16384",
    "SELECT oid, nspname, nspowner, nspacl::text FROM pg_namespace WHERE nspname !~ '^pg_'",
    """SELECT attrelid, attnum, attname, atttypid, attnotnull, attidentity, attstattarget, attstorage, attacl::text
       FROM pg_attribute WHERE attrelid >= 16384 AND attrelid NOT IN (SELECT oid FROM pg_class WHERE relkind = 't')""",
    "SELECT oid, conname, conrelid, conindid FROM pg_constraint WHERE oid >= 16384",
    "SELECT oid, tgname, tgrelid, tgenabled FROM pg_trigger WHERE oid >= 16384",
    "SELECT oid, polname, polrelid FROM pg_policy",
    "SELECT oid, stxname, stxrelid FROM pg_statistic_ext",
    "SELECT oid, rulename, ev_class FROM pg_rewrite WHERE oid >= 16384",
    "SELECT oid, collname FROM pg_collation WHERE oid >= 16384",
    "SELECT seqrelid, seqtypid, seqstart, seqincrement, seqmax, seqmin FROM pg_sequence",
    "SELECT objoid, classoid, objsubid, description FROM pg_description WHERE objoid >= 16384",
    *[
        f"SELECT t::text FROM teamscale_internal.{table} AS t"
        for table in ["cluster", "node", "colocation_group", "bucket", "placement", "sharded_table"]
    ],
]


ALL = " UNION ALL ".join(f"SELECT {number}, q::text FROM ({query}) AS q" for number, query in enumerate(QUERIES))


def snapshot(database):
    return set(database.execute(ALL))


def snapshots(cluster):
    return [snapshot(database) for database in cluster.nodes]


def changes(cluster, before):
    """What has changed since the snapshots, to be compared with an empty list."""
    return [
        f"node {number}: {sign} {row}"
        for number, (then, now) in enumerate(zip(before, snapshots(cluster)))
        for sign, rows in [("-", then - now), ("+", now - then)]
        for row in sorted(rows)
    ]
