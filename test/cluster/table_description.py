"""What a table is and has, read from PostgreSQL's catalogs by name, so that two databases, or a table before and after,
can be compared. It says nothing of how teamscale reads a definition: the queries here are the test's own."""

# The table's name as regclass text is the parameter. ACLs and reloptions are sets: sorted.
ASPECTS = {
    "table": """
        SELECT pg_get_userbyid(relowner), relrowsecurity, relforcerowsecurity, relpersistence,
               ARRAY(SELECT a::text FROM unnest(relacl) AS a ORDER BY 1), obj_description(oid, 'pg_class'),
               relreplident, (SELECT spcname FROM pg_tablespace WHERE oid = reltablespace)
        FROM pg_class WHERE oid = {t}""",
    "columns": """
        SELECT attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated,
               attcollation::regcollation::text, pg_get_expr(adbin, adrelid), attstorage, attcompression, attstattarget,
               ARRAY(SELECT o FROM unnest(attoptions) AS o WHERE o ~ '^n_distinct' ORDER BY 1),
               ARRAY(SELECT a::text FROM unnest(attacl) AS a ORDER BY 1), col_description(attrelid, attnum)
        FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attrelid = {t} AND attnum > 0 AND NOT attisdropped ORDER BY attnum""",
    "constraints": """
        SELECT conname, contype, pg_get_constraintdef(oid), condeferrable, condeferred, convalidated, contype = 'c' AND connoinherit,
               obj_description(oid, 'pg_constraint')
        FROM pg_constraint WHERE conrelid = {t} AND conparentid = 0""",
    "indexes": """
        SELECT c.relname, n.nspname, replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON '), indisunique, indisprimary,
               indimmediate, indisvalid, indisreplident, indnullsnotdistinct,
               ARRAY(SELECT o FROM unnest(c.reloptions) AS o ORDER BY 1),
               (SELECT spcname FROM pg_tablespace AS s WHERE s.oid = c.reltablespace),
               ARRAY(SELECT attstattarget FROM pg_attribute WHERE attrelid = indexrelid ORDER BY attnum),
               obj_description(indexrelid, 'pg_class')
        FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE indrelid = {t}""",
    "triggers": """
        SELECT tgname, pg_get_triggerdef(oid), tgenabled, obj_description(oid, 'pg_trigger')
        FROM pg_trigger WHERE tgrelid = {t} AND NOT tgisinternal""",
    "policies": """
        SELECT polname, polcmd, polpermissive,
               ARRAY(SELECT CASE WHEN r = 0 THEN 'public' ELSE pg_get_userbyid(r) END FROM unnest(polroles) AS r ORDER BY 1),
               pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid), obj_description(oid, 'pg_policy')
        FROM pg_policy WHERE polrelid = {t}""",
    "statistics": """
        SELECT stxname, stxnamespace::regnamespace::text, pg_get_statisticsobjdef(oid), stxstattarget,
               pg_get_userbyid(stxowner), obj_description(oid, 'pg_statistic_ext')
        FROM pg_statistic_ext WHERE stxrelid = {t}""",
    "sequences": """
        SELECT d.objid::regclass::text, a.attname, d.deptype, seqtypid::regtype::text, seqincrement, seqcache, seqcycle,
               pg_get_userbyid(c.relowner), ARRAY(SELECT x::text FROM unnest(c.relacl) AS x ORDER BY 1),
               obj_description(c.oid, 'pg_class')
        FROM pg_depend AS d JOIN pg_sequence ON seqrelid = d.objid JOIN pg_class AS c ON c.oid = d.objid
             JOIN pg_attribute AS a ON attrelid = refobjid AND attnum = refobjsubid
        WHERE d.classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND refobjid = {t} AND deptype IN ('a', 'i')""",
}

# Of the sequences: what a range of a node's own changes.
SEQUENCE_RANGES = """
    SELECT d.objid::regclass::text, seqmin, seqmax, seqstart, pg_sequence_last_value(d.objid::regclass)
    FROM pg_depend AS d JOIN pg_sequence ON seqrelid = d.objid
    WHERE d.classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND refobjid = {t} AND deptype IN ('a', 'i')"""

# What only a relation with storage has: the plain table, or each leaf.
STORAGE = {
    "options": "SELECT o FROM pg_class, unnest(reloptions) AS o WHERE oid = {t}",
    "toast options": """
        SELECT o FROM pg_class AS c JOIN pg_class AS t ON t.oid = c.reltoastrelid, unnest(t.reloptions) AS o
        WHERE c.oid = {t}""",
    "relation": """
        SELECT relreplident, (SELECT spcname FROM pg_tablespace WHERE oid = reltablespace), pg_get_userbyid(relowner)
        FROM pg_class WHERE oid = {t}""",
    "columns": """
        SELECT attname, attstorage, attcompression, attstattarget, ARRAY(SELECT o FROM unnest(attoptions) AS o WHERE o ~ '^n_distinct' ORDER BY 1)
        FROM pg_attribute WHERE attrelid = {t} AND attnum > 0 AND NOT attisdropped""",
    "indexes": """
        SELECT regexp_replace(pg_get_indexdef(indexrelid), ' INDEX .* USING ', ' INDEX USING '), indisreplident,
               ARRAY(SELECT o FROM unnest(c.reloptions) AS o ORDER BY 1),
               (SELECT spcname FROM pg_tablespace AS s WHERE s.oid = c.reltablespace),
               ARRAY(SELECT attstattarget FROM pg_attribute WHERE attrelid = indexrelid ORDER BY attnum)
        FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid WHERE indrelid = {t}""",
    "triggers": "SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = {t} AND NOT tgisinternal AND tgtype & 1 = 1",
}

VIEW_ASPECTS = {
    "view": """
        SELECT pg_get_viewdef(oid), ARRAY(SELECT o FROM unnest(reloptions) AS o ORDER BY 1), pg_get_userbyid(relowner),
               ARRAY(SELECT a::text FROM unnest(relacl) AS a ORDER BY 1), obj_description(oid, 'pg_class')
        FROM pg_class WHERE oid = {t}""",
    "columns": ASPECTS["columns"],
    "triggers": ASPECTS["triggers"],
    "rules": "SELECT rulename, pg_get_ruledef(oid), ev_enabled, obj_description(oid, 'pg_rewrite') FROM pg_rewrite WHERE ev_class = {t}",
}


def _read(connection, aspects, name):
    literal = "'" + name.replace("'", "''") + "'::regclass"
    return {
        aspect: sorted(connection.execute(query.replace("{t}", literal)).fetchall(), key=repr)
        for aspect, query in aspects.items()
    }


def _local(database):
    connection = database.connect()
    connection.execute("SET teamscale.scope = local")
    connection.execute("SET search_path = pg_catalog")
    return connection


def describe(database, table, views=()):
    """The definition of a table and of views on it."""
    with _local(database) as connection:
        description = _read(connection, ASPECTS, table)
        for view in views:
            for aspect, rows in _read(connection, VIEW_ASPECTS, view).items():
                description[f"{view}: {aspect}"] = rows
        return description


def sequence_ranges(database, table):
    with _local(database) as connection:
        return _read(connection, {"ranges": SEQUENCE_RANGES}, table)["ranges"]


def describe_storage(database, relation):
    with _local(database) as connection:
        return _read(connection, STORAGE, relation)


def leaves(database, table):
    """The names of a table's leaves on this node."""
    with _local(database) as connection:
        return [
            row[0]
            for row in connection.execute(
                "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::text::regclass ORDER BY 1", [table]
            )
        ]


def differences(actual, expected):
    """What two descriptions do not have in common, to be compared with an empty list."""
    return [
        f"{aspect}: {ours} {row}"
        for aspect in sorted(actual.keys() | expected.keys())
        for ours, there, here in [("missing", actual, expected), ("unexpected", expected, actual)]
        for row in here.get(aspect, [])
        if row not in there.get(aspect, [])
    ]
