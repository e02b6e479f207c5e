-- The rows that are there already, as events of a stream among those of the changes around them.
--
-- A chunk of rows, in the order of the key, is locked against changes (FOR SHARE), written into the log, and committed. So in the log a
-- row that was read stands behind every change that it shows, and before every change that it does not: a reader that
-- takes events in their order is right, by whichever way it reads. Writers of these rows wait for the chunk meanwhile.

CREATE FUNCTION teamscale_internal.write_row(secret text, stream_id text, relation regclass, "row" record) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_write_row';
COMMENT ON FUNCTION teamscale_internal.write_row(text, text, regclass, record) IS
    'Writes a row into this node''s log, for the read events of one stream.';
REVOKE ALL ON FUNCTION teamscale_internal.write_row(text, text, regclass, record) FROM PUBLIC;

-- The primary key's columns, in its order: for the ORDER BY, for their texts, and for a comparison with such texts.
CREATE FUNCTION teamscale_internal.key_expressions(relation regclass, OUT columns text, OUT texts text, OUT types text[])
    RETURNS record
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format('t.%I', a.attname), ', ' ORDER BY k.n), string_agg(format('t.%I::text', a.attname), ', ' ORDER BY k.n),
           array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY k.n)
    FROM pg_index AS i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, n)
         JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = relation AND i.indisprimary AND k.n <= i.indnkeyatts
$$;
COMMENT ON FUNCTION teamscale_internal.key_expressions(regclass) IS 'The columns of a primary key as SQL.';
REVOKE ALL ON FUNCTION teamscale_internal.key_expressions(regclass) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.key_literal(key text[], types text[]) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format('%L::%s', k, t), ', ' ORDER BY n) FROM unnest(key, types) WITH ORDINALITY AS u (k, t, n)
$$;
COMMENT ON FUNCTION teamscale_internal.key_literal(text[], text[]) IS 'A key as SQL constants.';
REVOKE ALL ON FUNCTION teamscale_internal.key_literal(text[], text[]) FROM PUBLIC;

-- The next chunk of one leaf. The chunk ends at a key that was chosen before rows are locked: a row whose key changes
-- meanwhile must not move the end.
CREATE FUNCTION teamscale_internal.write_chunk(stream_id text, leaf regclass, after text[], chunk_rows integer,
                                               OUT last_key text[], OUT written bigint) RETURNS record
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET DateStyle = ISO SET IntervalStyle = postgres
    SET extra_float_digits = 1 AS $$
DECLARE
    key record := teamscale_internal.key_expressions(leaf);
    secret text := (SELECT s.secret FROM teamscale_internal.message_secret AS s);
    condition text := 'true';
BEGIN
    IF key.columns IS NULL THEN
        RAISE EXCEPTION 'table "%" has no primary key', leaf
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Rows are read in the order of the primary key. Add one.';
    END IF;
    IF after IS NOT NULL THEN
        condition := format('(%s) > (%s)', key.columns, teamscale_internal.key_literal(after, key.types));
    END IF;
    EXECUTE format('SELECT ARRAY[%s] FROM ONLY %s AS t WHERE %s ORDER BY %s LIMIT 1 OFFSET %s',
                   key.texts, leaf, condition, key.columns, chunk_rows - 1) INTO last_key;
    IF last_key IS NOT NULL THEN
        condition := format('%s AND (%s) <= (%s)', condition, key.columns, teamscale_internal.key_literal(last_key, key.types));
    END IF;
    EXECUTE format('SELECT count(teamscale_internal.write_row(%L, %L, %L, c.t)::text) FROM '
                   '(SELECT t FROM ONLY %3$s AS t WHERE %4$s ORDER BY %5$s FOR SHARE OF t) AS c',
                   secret, stream_id, leaf, condition, key.columns) INTO written;
END
$$;
COMMENT ON FUNCTION teamscale_internal.write_chunk(text, regclass, text[], integer) IS
    'Writes the next rows of a leaf into the log; last_key is null when there are no more.';
REVOKE ALL ON FUNCTION teamscale_internal.write_chunk(text, regclass, text[], integer) FROM PUBLIC;

-- The next chunk of this node. False when it has no more.
CREATE FUNCTION teamscale_internal.snapshot_here(stream_id text, table_name text, chunk_rows integer) RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation regclass := to_regclass(table_name);
    progress teamscale_internal.stream_snapshot;
    chunk record;
    scope text := current_setting('teamscale.scope');
BEGIN
    IF relation IS NULL THEN  -- a plain table of another node
        RETURN false;
    END IF;
    IF NOT EXISTS (SELECT FROM teamscale_internal.stream_snapshot AS p
                   WHERE p.stream_id = snapshot_here.stream_id AND p."table" = table_name) THEN
        INSERT INTO teamscale_internal.stream_snapshot (stream_id, "table", leaf)
        SELECT snapshot_here.stream_id, table_name, t.relid::regclass::text FROM pg_partition_tree(relation) AS t WHERE t.isleaf
        UNION ALL
        SELECT snapshot_here.stream_id, table_name, relation::text WHERE NOT EXISTS (SELECT FROM pg_partition_tree(relation));
        PERFORM teamscale_internal.write_event(snapshot_here.stream_id, 'teamscale.snapshot.started', table_name, NULL, NULL);
    END IF;
    SELECT * INTO progress FROM teamscale_internal.stream_snapshot AS p
    WHERE p.stream_id = snapshot_here.stream_id AND p."table" = table_name AND NOT p.finished
      AND to_regclass(p.leaf) IS NOT NULL
    ORDER BY p.leaf LIMIT 1 FOR UPDATE;
    IF progress IS NULL THEN
        RETURN false;
    END IF;
    PERFORM set_config('teamscale.scope', 'local', true);
    chunk := teamscale_internal.write_chunk(snapshot_here.stream_id, progress.leaf::regclass, progress.last_key, chunk_rows);
    PERFORM set_config('teamscale.scope', scope, true);
    UPDATE teamscale_internal.stream_snapshot AS p
    SET last_key = coalesce(chunk.last_key, p.last_key), rows = p.rows + chunk.written, finished = chunk.last_key IS NULL
    WHERE p.stream_id = snapshot_here.stream_id AND p."table" = table_name AND p.leaf = progress.leaf;
    IF NOT EXISTS (SELECT FROM teamscale_internal.stream_snapshot AS p
                   WHERE p.stream_id = snapshot_here.stream_id AND p."table" = table_name AND NOT p.finished) THEN
        PERFORM teamscale_internal.write_event(snapshot_here.stream_id, 'teamscale.snapshot.completed', table_name, NULL,
            (SELECT json_build_object('rows', sum(p.rows))::text FROM teamscale_internal.stream_snapshot AS p
             WHERE p.stream_id = snapshot_here.stream_id AND p."table" = table_name));
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION teamscale_internal.snapshot_here(text, text, integer) IS
    'Writes the next chunk of a table''s rows on this node; false when it has no more.';
REVOKE ALL ON FUNCTION teamscale_internal.snapshot_here(text, text, integer) FROM PUBLIC;

-- One transaction's worth, on the first node that has more. False when none has: the next call begins anew.
CREATE FUNCTION teamscale_internal.snapshot_step(caller oid, stream text, "table" regclass, chunk_rows integer) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_stream teamscale_internal.event_stream := teamscale_internal.require_stream_owner(caller, stream);
    nodes integer[] := teamscale_internal.stream_nodes();
    relation record;
    node integer;
    call text;
BEGIN
    SELECT n.nspname, c.relname INTO relation FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = "table";
    IF NOT has_table_privilege(caller, "table", 'SELECT') THEN
        RAISE EXCEPTION 'permission denied for table %', "table" USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NOT teamscale_internal.selects_table(found_stream.options, relation.nspname, relation.relname) THEN
        RAISE EXCEPTION 'event stream "%" does not have table "%"', stream, "table"
            USING ERRCODE = 'invalid_parameter_value', HINT = 'The view teamscale.event_stream shows which tables it has.';
    END IF;
    IF chunk_rows IS NULL OR chunk_rows < 1 THEN
        RAISE EXCEPTION 'invalid chunk_rows' USING ERRCODE = 'invalid_parameter_value', HINT = 'A chunk has at least one row.';
    END IF;
    call := format('SELECT teamscale_internal.snapshot_here(%L, %L, %s)', found_stream.stream_id,
                   format('%I.%I', relation.nspname, relation.relname), chunk_rows);
    FOREACH node IN ARRAY nodes LOOP
        IF node = teamscale_internal.this_node() THEN
            IF teamscale_internal.snapshot_here(found_stream.stream_id, format('%I.%I', relation.nspname, relation.relname), chunk_rows) THEN
                RETURN true;
            END IF;
        ELSIF teamscale_internal.run_apart(node, call) = 't' THEN
            RETURN true;
        END IF;
    END LOOP;
    FOREACH node IN ARRAY nodes LOOP
        PERFORM teamscale_internal.run_for_stream(node,
            format('DELETE FROM teamscale_internal.stream_snapshot WHERE stream_id = %L AND "table" = %L', found_stream.stream_id,
                   format('%I.%I', relation.nspname, relation.relname)));
    END LOOP;
    RETURN false;
END
$$;
COMMENT ON FUNCTION teamscale_internal.snapshot_step(oid, text, regclass, integer) IS 'One step of snapshot_events() for its caller.';
REVOKE ALL ON FUNCTION teamscale_internal.snapshot_step(oid, text, regclass, integer) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.snapshot_step(stream text, "table" regclass, chunk_rows integer) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_call_as_owner';
COMMENT ON FUNCTION teamscale_internal.snapshot_step(text, regclass, integer) IS
    'What snapshot_events() calls again and again, each time in a transaction of its own.';

CREATE PROCEDURE teamscale.snapshot_events(stream text, "table" regclass, chunk_rows integer DEFAULT 1000)
    LANGUAGE plpgsql AS $$
DECLARE
    more boolean := true;
BEGIN
    WHILE more LOOP
        more := teamscale_internal.snapshot_step(stream, "table", chunk_rows);
        COMMIT;
    END LOOP;
END
$$;
COMMENT ON PROCEDURE teamscale.snapshot_events(text, regclass, integer) IS
    'Gives a stream of the caller''s the rows that a table has now, as read events among those of its changes, between the events '
    'teamscale.snapshot.started and teamscale.snapshot.completed of each node. Called again after a failure, it goes on where it was. '
    'Of a table that a reader knew before, keys that are not read meanwhile are gone.';
REVOKE ALL ON PROCEDURE teamscale.snapshot_events(text, regclass, integer) FROM PUBLIC;
