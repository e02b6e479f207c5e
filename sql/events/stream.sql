-- Making, changing and dropping streams.

CREATE FUNCTION teamscale_internal.create_slot(slot text, timeout integer) RETURNS pg_lsn
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_create_slot';
COMMENT ON FUNCTION teamscale_internal.create_slot(text, integer) IS
    'Makes a replication slot for a stream, which waits for each writing transaction up to timeout milliseconds; gives its first LSN.';
REVOKE ALL ON FUNCTION teamscale_internal.create_slot(text, integer) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.check_options(options text[]) RETURNS void
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_check_options';
COMMENT ON FUNCTION teamscale_internal.check_options(text[]) IS 'Raises what is wrong with the options of a stream.';
REVOKE ALL ON FUNCTION teamscale_internal.check_options(text[]) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.selects_table(options text[], "schema" text, "table" text) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_selects_table';
COMMENT ON FUNCTION teamscale_internal.selects_table(text[], text, text) IS 'Whether a stream of these options has the table.';
REVOKE ALL ON FUNCTION teamscale_internal.selects_table(text[], text, text) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.judges_old_rows(options text[], "schema" text, "table" text, leaf regclass) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_judges_old_rows';
COMMENT ON FUNCTION teamscale_internal.judges_old_rows(text[], text, text, regclass) IS
    'Whether the old rows in the log have all columns that the stream''s row filter reads; raises what is wrong with the filter.';
REVOKE ALL ON FUNCTION teamscale_internal.judges_old_rows(text[], text, text, regclass) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.request_stream_check() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_request_stream_check';
COMMENT ON FUNCTION teamscale_internal.request_stream_check() IS 'Has the maintenance worker check the streams after this commit.';
REVOKE ALL ON FUNCTION teamscale_internal.request_stream_check() FROM PUBLIC;

-- Held to the end of a transaction that makes or drops slots: the maintenance worker, which drops slots without a
-- stream, stays away meanwhile.
CREATE FUNCTION teamscale_internal.lock_slots() RETURNS void
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_advisory_xact_lock_shared('teamscale_internal.stream_slot'::regclass::oid::integer, 1)
$$;
COMMENT ON FUNCTION teamscale_internal.lock_slots() IS 'Keeps the maintenance worker from slots that have no stream yet.';
REVOKE ALL ON FUNCTION teamscale_internal.lock_slots() FROM PUBLIC;

-- Tables of this database that a stream of these options has, with the relations whose rows are in the log.
CREATE FUNCTION teamscale_internal.tables_of_options(options text[], OUT root regclass, OUT leaf regclass) RETURNS SETOF record
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.root, c.oid::regclass
    FROM pg_class AS c
         CROSS JOIN LATERAL (SELECT CASE WHEN c.relispartition THEN pg_partition_root(c.oid) ELSE c.oid::regclass END) AS r (root)
         JOIN pg_class AS p ON p.oid = r.root JOIN pg_namespace AS n ON n.oid = p.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname !~ '^(pg_|information_schema$|teamscale$|teamscale_internal$)'
      AND teamscale_internal.selects_table(options, n.nspname, p.relname)
$$;
COMMENT ON FUNCTION teamscale_internal.tables_of_options(text[]) IS 'The tables that a stream has now, each with its partitions.';
REVOKE ALL ON FUNCTION teamscale_internal.tables_of_options(text[]) FROM PUBLIC;

-- Old rows without a key, and row filters that cannot be decided.
CREATE FUNCTION teamscale_internal.check_tables(options text[]) RETURNS void
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    undecided text;
    keyless text;
BEGIN
    SELECT string_agg(DISTINCT t.root::text, ', ') INTO undecided
    FROM teamscale_internal.tables_of_options(options) AS t
         JOIN pg_class AS c ON c.oid = t.root JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE NOT teamscale_internal.judges_old_rows(options, n.nspname, c.relname, t.leaf);
    IF undecided IS NOT NULL THEN
        RAISE EXCEPTION 'the row filter reads columns that old rows in the log do not have'
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = format('Tables: %s.', undecided),
                  HINT = 'Filter by columns of the replica identity, or set REPLICA IDENTITY FULL.';
    END IF;
    SELECT string_agg(DISTINCT t.root::text, ', ') INTO keyless
    FROM teamscale_internal.tables_of_options(options) AS t JOIN pg_class AS c ON c.oid = t.leaf
    WHERE c.relreplident = 'n'
       OR c.relreplident = 'd' AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary);
    IF keyless IS NOT NULL THEN
        RAISE WARNING 'events of UPDATE and DELETE will have no key'
            USING DETAIL = format('Tables without a primary key or other replica identity: %s.', keyless),
                  HINT = 'Add a primary key, or set REPLICA IDENTITY FULL or USING INDEX.';
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.check_tables(text[]) IS
    'Raises 55000 when a row filter cannot be decided on some table''s old rows; warns of tables without a key.';
REVOKE ALL ON FUNCTION teamscale_internal.check_tables(text[]) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.stream_options(tables text[], format text, exclude_tables text[], columns text[],
        exclude_columns text[], row_filter text[], bigint_as text, numeric_as text, transactions boolean, ddl boolean,
        events boolean, messages text[], origin text, partitions boolean, schemas boolean) RETURNS text[]
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(part ORDER BY n, side), '{}')
    FROM (SELECT * FROM unnest(
              ARRAY['format', 'tables', 'exclude_tables', 'columns', 'exclude_columns', 'bigint_as', 'numeric_as', 'transactions',
                    'ddl', 'events', 'origin', 'partitions', 'schemas'],
              ARRAY[format, array_to_string(tables, ', '), array_to_string(exclude_tables, ', '), array_to_string(columns, ', '),
                    array_to_string(exclude_columns, ', '), bigint_as, numeric_as, transactions::text, ddl::text, events::text,
                    origin, partitions::text, schemas::text]) WITH ORDINALITY AS o (name, value, n)
          UNION ALL SELECT 'row_filter', f, 100 + n FROM unnest(row_filter) WITH ORDINALITY AS u (f, n)
          UNION ALL SELECT 'messages', m, 10000 + n FROM unnest(messages) WITH ORDINALITY AS u (m, n)) AS o
         CROSS JOIN LATERAL (VALUES (1, o.name), (2, o.value)) AS p (side, part)
    WHERE o.value IS NOT NULL
$$;
COMMENT ON FUNCTION teamscale_internal.stream_options(text[], text, text[], text[], text[], text[], text, text, boolean, boolean,
    boolean, text[], text, boolean, boolean) IS 'Names and values for the output plugin.';

-- A slot on one node, in no transaction that writes anywhere: making a slot waits for all that do, of other databases
-- too, so two nodes of one server would wait for each other.
CREATE FUNCTION teamscale_internal.create_slot_on(node integer, slot text) RETURNS pg_lsn
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    patience constant integer := 30000;
BEGIN
    IF node = teamscale_internal.this_node() THEN
        PERFORM teamscale_internal.lock_slots();
        RETURN teamscale_internal.create_slot(slot, patience);
    END IF;
    PERFORM * FROM teamscale_internal.rows_of_node(node, 'SELECT teamscale_internal.lock_slots()::text') AS r (locked text);
    RETURN teamscale_internal.run_apart(node, format('SELECT teamscale_internal.create_slot(%L, %s)', slot, patience))::pg_lsn;
EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION 'no replication slot could be made on node "%" in time', teamscale_internal.node_name(node)
        USING ERRCODE = 'lock_not_available',
              DETAIL = 'A transaction of that server has been writing all the while; a slot waits for it.',
              HINT = 'Find it in pg_stat_activity by backend_xid or in pg_prepared_xacts, and try again when it has ended.';
END
$$;
COMMENT ON FUNCTION teamscale_internal.create_slot_on(integer, text) IS
    'Makes a slot on one node and gives its first LSN; 55P03 when a writing transaction does not end.';
REVOKE ALL ON FUNCTION teamscale_internal.create_slot_on(integer, text) FROM PUBLIC;

-- This node's part of a stream.
CREATE FUNCTION teamscale_internal.store_slot(stream_id text, slot name, start pg_lsn) RETURNS void
    LANGUAGE sql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO teamscale_internal.stream_slot AS s (stream_id, slot, timeline, lsn, ordinal, released)
    SELECT store_slot.stream_id, store_slot.slot, c.timeline_id, start, 0, start FROM pg_control_checkpoint() AS c
    ON CONFLICT ON CONSTRAINT stream_slot_pkey DO UPDATE
        SET slot = excluded.slot, timeline = excluded.timeline, lsn = excluded.lsn, ordinal = 0, released = excluded.released,
            acked_at = now(), stopped = NULL
$$;
COMMENT ON FUNCTION teamscale_internal.store_slot(text, name, pg_lsn) IS 'Notes this node''s slot of a stream and where it begins.';
REVOKE ALL ON FUNCTION teamscale_internal.store_slot(text, name, pg_lsn) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.new_slot_name(node integer) RETURNS text
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('teamscale_%s_%s', node, replace(gen_random_uuid()::text, '-', ''))
$$;
COMMENT ON FUNCTION teamscale_internal.new_slot_name(integer) IS 'A name for a slot of a stream, which no other slot has.';
REVOKE ALL ON FUNCTION teamscale_internal.new_slot_name(integer) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.begin_stream_change(nodes integer[]) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF nodes <> '{0}' THEN
        PERFORM teamscale_internal.begin_catalog_change();
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.begin_stream_change(integer[]) IS 'Begins a change of the catalog where there is a cluster.';
REVOKE ALL ON FUNCTION teamscale_internal.begin_stream_change(integer[]) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.create_event_stream(caller oid, name text, tables text[], format text, exclude_tables text[],
        columns text[], exclude_columns text[], row_filter text[], bigint_as text, numeric_as text, transactions boolean,
        ddl boolean, events boolean, messages text[], origin text, partitions boolean, schemas boolean, max_retained_wal bigint)
    RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    options text[] := teamscale_internal.stream_options(tables, format, exclude_tables, columns, exclude_columns, row_filter,
        bigint_as, numeric_as, transactions, ddl, events, messages, origin, partitions, schemas);
    owner name := pg_get_userbyid(caller);
    new_id text := left(replace(gen_random_uuid()::text, '-', ''), 16);
    nodes integer[] := teamscale_internal.stream_nodes();
    slots text[] := '{}';
    starts pg_lsn[] := '{}';
BEGIN
    IF NOT (SELECT r.rolreplication OR r.rolsuper FROM pg_roles AS r WHERE r.oid = caller) THEN
        RAISE EXCEPTION 'permission denied to create an event stream'
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = format('Role "%s" has neither REPLICATION nor SUPERUSER.', owner),
                  HINT = format('Run ALTER ROLE %I REPLICATION. Readers of a stream do not need it.', owner);
    END IF;
    IF name IS NULL OR name = '' OR octet_length(name) > 63 THEN
        RAISE EXCEPTION 'invalid name of an event stream'
            USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The name is %L.', name),
                  HINT = 'A name has 1 to 63 bytes.';
    END IF;
    IF EXISTS (SELECT FROM teamscale_internal.event_stream AS s WHERE s.name = create_event_stream.name) THEN
        RAISE EXCEPTION 'event stream "%" already exists', name USING ERRCODE = 'duplicate_object';
    END IF;
    IF max_retained_wal <= 0 THEN
        RAISE EXCEPTION 'invalid max_retained_wal'
            USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The value is %s.', max_retained_wal),
                  HINT = 'Give the bytes of log that the stream may hold back, or null for any number.';
    END IF;
    PERFORM teamscale_internal.check_options(options);
    PERFORM teamscale_internal.check_tables(options);
    FOR i IN 1 .. cardinality(nodes) LOOP
        slots := slots || teamscale_internal.new_slot_name(nodes[i]);
        starts := starts || teamscale_internal.create_slot_on(nodes[i], slots[i]);
    END LOOP;
    PERFORM teamscale_internal.begin_stream_change(nodes);
    FOR i IN 1 .. cardinality(nodes) LOOP
        PERFORM teamscale_internal.run_for_stream(nodes[i],
            format('INSERT INTO teamscale_internal.event_stream (stream_id, name, owner, options, max_retained_wal) '
                   'VALUES (%L, %L, %L, %L, %L)', new_id, name, owner, options, max_retained_wal));
        PERFORM teamscale_internal.run_for_stream(nodes[i],
            format('SELECT teamscale_internal.store_slot(%L, %L, %L)', new_id, slots[i], starts[i]));
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.create_event_stream(oid, text, text[], text, text[], text[], text[], text[], text, text,
    boolean, boolean, boolean, text[], text, boolean, boolean, bigint) IS
    'What teamscale.create_event_stream() does for its caller: first the slots, then one change of the catalog on all nodes.';
REVOKE ALL ON FUNCTION teamscale_internal.create_event_stream(oid, text, text[], text, text[], text[], text[], text[], text, text,
    boolean, boolean, boolean, text[], text, boolean, boolean, bigint) FROM PUBLIC;

CREATE FUNCTION teamscale.create_event_stream(name text, tables text[] DEFAULT NULL, format text DEFAULT 'cloudevents',
        exclude_tables text[] DEFAULT NULL, columns text[] DEFAULT NULL, exclude_columns text[] DEFAULT NULL,
        row_filter text[] DEFAULT NULL, bigint_as text DEFAULT 'number', numeric_as text DEFAULT 'string',
        transactions boolean DEFAULT false, ddl boolean DEFAULT false, events boolean DEFAULT true, messages text[] DEFAULT NULL,
        origin text DEFAULT 'any', partitions boolean DEFAULT false, schemas boolean DEFAULT false,
        max_retained_wal bigint DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_call_as_owner';
COMMENT ON FUNCTION teamscale.create_event_stream(text, text[], text, text[], text[], text[], text[], text, text, boolean, boolean,
    boolean, text[], text, boolean, boolean, bigint) IS
    'Makes a stream of change events, from now on, for a role with REPLICATION. tables, exclude_tables: patterns of schema.table '
    '(all when null); columns, exclude_columns: of schema.table.column; row_filter: schema.table WHERE condition; format: '
    'cloudevents, debezium or row; transactions: begin and commit markers; ddl: commands; events: of emit_event(); messages: '
    'prefixes of other logical messages; origin: none leaves out what replication brought; partitions: under their own names; '
    'schemas: with each Debezium message; max_retained_wal: bytes of log after which the stream is stopped.';

CREATE FUNCTION teamscale_internal.drop_event_stream(caller oid, name text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stream teamscale_internal.event_stream := teamscale_internal.require_stream_owner(caller, name);
    nodes integer[] := teamscale_internal.stream_nodes();
    node integer;
BEGIN
    PERFORM teamscale_internal.begin_stream_change(nodes);
    FOREACH node IN ARRAY nodes LOOP
        PERFORM teamscale_internal.run_for_stream(node, format('DO $do$BEGIN '
            'DELETE FROM teamscale_internal.event_stream WHERE stream_id = %L; '
            'PERFORM teamscale_internal.request_stream_check(); END$do$', stream.stream_id));
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.drop_event_stream(oid, text) IS
    'What teamscale.drop_event_stream() does for its caller; the maintenance worker drops the slots after the commit.';
REVOKE ALL ON FUNCTION teamscale_internal.drop_event_stream(oid, text) FROM PUBLIC;

CREATE FUNCTION teamscale.drop_event_stream(name text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_call_as_owner';
COMMENT ON FUNCTION teamscale.drop_event_stream(text) IS
    'Drops a stream of the caller''s on all nodes. Its slots go after the commit, when nobody reads them.';

-- The options that are given replace those that the stream has, from the next event that is read on.
CREATE FUNCTION teamscale_internal.alter_event_stream(caller oid, name text, "position" text, tables text[], exclude_tables text[],
        row_filter text[], max_retained_wal bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stream teamscale_internal.event_stream := teamscale_internal.require_stream_owner(caller, name);
    nodes integer[] := teamscale_internal.stream_nodes();
    replaced text[] := '{}';
    new_options text[];
    node integer;
    point record;
BEGIN
    new_options := teamscale_internal.stream_options(tables, NULL, exclude_tables, NULL, NULL, row_filter, NULL, NULL, NULL, NULL,
                                                     NULL, NULL, NULL, NULL, NULL);
    replaced := ARRAY(SELECT DISTINCT new_options[i] FROM generate_series(1, cardinality(new_options), 2) AS i);
    new_options := ARRAY(SELECT p FROM generate_series(1, cardinality(stream.options), 2) AS i
                                       CROSS JOIN LATERAL unnest(stream.options[i:i + 1]) WITH ORDINALITY AS u (p, n)
                         WHERE stream.options[i] <> ALL (replaced) ORDER BY i, n) || new_options;
    PERFORM teamscale_internal.check_options(new_options);
    PERFORM teamscale_internal.check_tables(new_options);
    PERFORM teamscale_internal.begin_stream_change(nodes);
    FOREACH node IN ARRAY nodes LOOP
        PERFORM teamscale_internal.run_for_stream(node,
            format('UPDATE teamscale_internal.event_stream SET options = %L, max_retained_wal = %L WHERE stream_id = %L',
                   new_options, coalesce(max_retained_wal, stream.max_retained_wal), stream.stream_id));
    END LOOP;
    FOR point IN SELECT * FROM teamscale_internal.points_of(stream, "position") LOOP
        PERFORM teamscale_internal.run_for_stream(point.node,
            format('SELECT teamscale_internal.move_back(%L, %L, %s)', stream.stream_id, point.lsn, point.ordinal));
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.alter_event_stream(oid, text, text, text[], text[], text[], bigint) IS
    'What teamscale.alter_event_stream() does for its caller.';
REVOKE ALL ON FUNCTION teamscale_internal.alter_event_stream(oid, text, text, text[], text[], text[], bigint) FROM PUBLIC;

CREATE FUNCTION teamscale.alter_event_stream(name text, "position" text DEFAULT NULL, tables text[] DEFAULT NULL,
        exclude_tables text[] DEFAULT NULL, row_filter text[] DEFAULT NULL, max_retained_wal bigint DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_call_as_owner';
COMMENT ON FUNCTION teamscale.alter_event_stream(text, text, text[], text[], text[], bigint) IS
    'Changes a stream of the caller''s: what is given replaces what it had. position: where reading goes on, an earlier or later '
    'one that poll_events() gave, as far back as the server still has the log.';

CREATE FUNCTION teamscale_internal.grant_event_stream(caller oid, name text, reader regrole, granted boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stream teamscale_internal.event_stream := teamscale_internal.require_stream_owner(caller, name);
    nodes integer[] := teamscale_internal.stream_nodes();
    node integer;
    readers name[] := array_remove(stream.readers, pg_get_userbyid(reader));
BEGIN
    IF granted THEN
        readers := readers || pg_get_userbyid(reader);
    END IF;
    PERFORM teamscale_internal.begin_stream_change(nodes);
    FOREACH node IN ARRAY nodes LOOP
        PERFORM teamscale_internal.run_for_stream(node,
            format('UPDATE teamscale_internal.event_stream SET readers = %L WHERE stream_id = %L', readers, stream.stream_id));
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.grant_event_stream(oid, text, regrole, boolean) IS
    'What teamscale.grant_event_stream() and revoke_event_stream() do for their caller.';
REVOKE ALL ON FUNCTION teamscale_internal.grant_event_stream(oid, text, regrole, boolean) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.grant_event_stream(caller oid, name text, reader regrole) RETURNS void
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT teamscale_internal.grant_event_stream(caller, name, reader, true)
$$;
COMMENT ON FUNCTION teamscale_internal.grant_event_stream(oid, text, regrole) IS 'See the function with one more argument.';
REVOKE ALL ON FUNCTION teamscale_internal.grant_event_stream(oid, text, regrole) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.revoke_event_stream(caller oid, name text, reader regrole) RETURNS void
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT teamscale_internal.grant_event_stream(caller, name, reader, false)
$$;
COMMENT ON FUNCTION teamscale_internal.revoke_event_stream(oid, text, regrole) IS 'See grant_event_stream().';
REVOKE ALL ON FUNCTION teamscale_internal.revoke_event_stream(oid, text, regrole) FROM PUBLIC;

CREATE FUNCTION teamscale.grant_event_stream(name text, reader regrole) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_call_as_owner';
COMMENT ON FUNCTION teamscale.grant_event_stream(text, regrole) IS
    'Lets a role read a stream of the caller''s, whatever it may read of the tables.';

CREATE FUNCTION teamscale.revoke_event_stream(name text, reader regrole) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_call_as_owner';
COMMENT ON FUNCTION teamscale.revoke_event_stream(text, regrole) IS 'Takes back what grant_event_stream() gave.';
