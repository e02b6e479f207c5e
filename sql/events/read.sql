-- Reading streams.

CREATE FUNCTION teamscale_internal.take_lease(stream_id text, name text, max_wait integer) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_take_lease';
COMMENT ON FUNCTION teamscale_internal.take_lease(text, text, integer) IS
    'Makes this session the reader of a stream on this node until it gives the lease back or ends; 55006 while another one is.';
REVOKE ALL ON FUNCTION teamscale_internal.take_lease(text, text, integer) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.give_lease(stream_id text) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_give_lease';
COMMENT ON FUNCTION teamscale_internal.give_lease(text) IS 'Ends what take_lease() began.';
REVOKE ALL ON FUNCTION teamscale_internal.give_lease(text) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.has_lease(stream_id text) RETURNS boolean
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_has_lease';
COMMENT ON FUNCTION teamscale_internal.has_lease(text) IS 'Whether this session is the reader of a stream on this node.';
REVOKE ALL ON FUNCTION teamscale_internal.has_lease(text) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.read_log(slot text, stream text, released pg_lsn, lsn pg_lsn, ordinal bigint, max_events integer,
        max_wait integer, OUT commit_lsn pg_lsn, OUT ordinal bigint, OUT next_lsn pg_lsn, OUT next_ordinal bigint,
        OUT committed_at timestamptz, OUT xid bigint, OUT op text, OUT "schema" text, OUT "table" text, OUT topic text,
        OUT key text, OUT id text, OUT payload text) RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_read_log';
COMMENT ON FUNCTION teamscale_internal.read_log(text, text, pg_lsn, pg_lsn, bigint, integer, integer) IS
    'Decodes this node''s log from a point on. A last row without an event says how far the log was read.';
REVOKE ALL ON FUNCTION teamscale_internal.read_log(text, text, pg_lsn, pg_lsn, bigint, integer, integer) FROM PUBLIC;

-- Why this node's part of a stream cannot go on, and what is missing since.
CREATE FUNCTION teamscale_internal.slot_problem(part teamscale_internal.stream_slot) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    slot record;
BEGIN
    IF part.stopped IS NOT NULL THEN
        RETURN part.stopped;
    END IF;
    IF part.timeline <> (SELECT timeline_id FROM pg_control_checkpoint()) THEN
        RETURN format('the server is on timeline %s, the stream was made on timeline %s',
                      (SELECT timeline_id FROM pg_control_checkpoint()), part.timeline);
    END IF;
    IF part.lsn > pg_current_wal_flush_lsn() AND part.lsn > pg_current_wal_insert_lsn() THEN
        RETURN format('its position %s is ahead of the server''s log', part.lsn);
    END IF;
    SELECT * INTO slot FROM pg_replication_slots AS s
    WHERE s.slot_name = part.slot AND s.plugin = 'teamscale' AND s.database = current_database();
    IF slot IS NULL THEN
        RETURN format('its replication slot "%s" is gone', part.slot);
    END IF;
    IF slot.wal_status = 'lost' OR slot.restart_lsn IS NULL THEN
        RETURN format('the server has removed log that its replication slot "%s" needed', part.slot);
    END IF;
    IF slot.confirmed_flush_lsn > part.released THEN
        RETURN format('its replication slot "%s" was made anew or moved by somebody else', part.slot);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION teamscale_internal.slot_problem(teamscale_internal.stream_slot) IS
    'Why this node''s part of a stream cannot go on; null when it can.';
REVOKE ALL ON FUNCTION teamscale_internal.slot_problem(teamscale_internal.stream_slot) FROM PUBLIC;

-- Where the log goes on that this node's part of a stream can still read.
CREATE FUNCTION teamscale_internal.missing_to(part teamscale_internal.stream_slot) RETURNS pg_lsn
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT greatest(part.lsn, coalesce((SELECT s.confirmed_flush_lsn FROM pg_replication_slots AS s
                                        WHERE s.slot_name = part.slot AND s.wal_status <> 'lost' AND part.stopped IS NULL),
                                       pg_current_wal_flush_lsn()))
$$;
COMMENT ON FUNCTION teamscale_internal.missing_to(teamscale_internal.stream_slot) IS 'The end of what a stopped stream misses so far.';
REVOKE ALL ON FUNCTION teamscale_internal.missing_to(teamscale_internal.stream_slot) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.require_slot(stream teamscale_internal.event_stream) RETURNS teamscale_internal.stream_slot
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part teamscale_internal.stream_slot;
    problem text;
    node text := teamscale_internal.node_name(teamscale_internal.this_node());
BEGIN
    SELECT * INTO part FROM teamscale_internal.stream_slot AS s WHERE s.stream_id = stream.stream_id;
    IF part IS NULL THEN
        RAISE EXCEPTION 'event stream "%" has no slot on node "%"', stream.name, node
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'The node was added after the stream was made.',
                  HINT = 'Run teamscale.restart_event_stream().';
    END IF;
    problem := teamscale_internal.slot_problem(part);
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'event stream "%" has stopped on node "%": %', stream.name, node, problem
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = format('Changes committed between %s and %s are missing.', part.lsn, teamscale_internal.missing_to(part)),
                  HINT = 'Run teamscale.restart_event_stream(), then teamscale.snapshot_events() for each table; rows that the '
                         'snapshot does not show are gone.';
    END IF;
    RETURN part;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_slot(teamscale_internal.event_stream) IS
    'This node''s part of a stream; 55000 with the range of the log that is missing when it cannot go on.';
REVOKE ALL ON FUNCTION teamscale_internal.require_slot(teamscale_internal.event_stream) FROM PUBLIC;

-- An idle stream lets the log go, too: when all up to some point has been read, and nothing was for the stream. Not for
-- every few bytes: it writes to the log itself.
CREATE FUNCTION teamscale_internal.read_node(stream_name text, max_events integer, max_wait integer, OUT commit_lsn pg_lsn,
        OUT ordinal bigint, OUT next_lsn pg_lsn, OUT next_ordinal bigint, OUT committed_at timestamptz, OUT xid bigint, OUT op text,
        OUT "schema" text, OUT "table" text, OUT topic text, OUT key text, OUT id text, OUT payload text) RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stream teamscale_internal.event_stream := teamscale_internal.require_stream(stream_name);
    part teamscale_internal.stream_slot;
    event record;
    events bigint := 0;
    idle_step constant bigint := 16777216;
BEGIN
    PERFORM teamscale_internal.take_lease(stream.stream_id, stream.name, max_wait);
    part := teamscale_internal.require_slot(stream);
    FOR event IN SELECT * FROM teamscale_internal.read_log(part.slot, stream.name,
            -- The slot follows what is committed: not a position that this transaction may yet take back.
            CASE WHEN pg_current_xact_id_if_assigned() IS NULL THEN part.released ELSE '0/0' END,
            part.lsn, part.ordinal, max_events, max_wait) LOOP
        IF event.op IS NOT NULL THEN
            events := events + 1;
            commit_lsn := event.commit_lsn; ordinal := event.ordinal; next_lsn := event.next_lsn;
            next_ordinal := event.next_ordinal; committed_at := event.committed_at; xid := event.xid; op := event.op;
            "schema" := event."schema"; "table" := event."table"; topic := event.topic; key := event.key; id := event.id;
            payload := event.payload;
            RETURN NEXT;
        ELSIF events = 0 AND event.next_lsn - part.released > idle_step THEN
            UPDATE teamscale_internal.stream_slot AS s SET lsn = event.next_lsn, ordinal = 0, released = event.next_lsn
            WHERE s.stream_id = stream.stream_id AND s.lsn <= event.next_lsn;
        END IF;
    END LOOP;
    IF events = 0 THEN
        PERFORM teamscale_internal.give_lease(stream.stream_id);
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.read_node(text, integer, integer) IS
    'The next events of a stream on this node, for the session that has or takes its lease.';
REVOKE ALL ON FUNCTION teamscale_internal.read_node(text, integer, integer) FROM PUBLIC;

-- A position in parts; nothing for null. 22023 unless it is one of this stream's.
CREATE FUNCTION teamscale_internal.points_of(stream teamscale_internal.event_stream, "position" text, OUT node integer,
        OUT lsn pg_lsn, OUT ordinal bigint) RETURNS SETOF record
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    word text;
    parts text[];
BEGIN
    IF "position" IS NULL THEN
        RETURN;
    END IF;
    IF "position" !~ '^[0-9a-f]{16}( [0-9]{1,9}=[0-9A-F]{1,8}/[0-9A-F]{1,8}:[0-9]{1,18})*$'
       OR split_part("position", ' ', 1) <> stream.stream_id THEN
        RAISE EXCEPTION 'invalid position for event stream "%"', stream.name
            USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The position is %L.', "position"),
                  HINT = 'Hand back a position as poll_events() gave it for this stream.';
    END IF;
    FOREACH word IN ARRAY (string_to_array("position", ' '))[2:] LOOP
        parts := regexp_match(word, '^([0-9]+)=([^:]+):([0-9]+)$');
        node := parts[1]; lsn := parts[2]; ordinal := parts[3];
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.points_of(teamscale_internal.event_stream, text) IS 'The points of a position, one for each node.';
REVOKE ALL ON FUNCTION teamscale_internal.points_of(teamscale_internal.event_stream, text) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.move_forward(stream_id text, lsn pg_lsn, ordinal bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE teamscale_internal.stream_slot AS s
    SET lsn = move_forward.lsn, ordinal = move_forward.ordinal, released = greatest(s.released, move_forward.lsn), acked_at = now()
    WHERE s.stream_id = move_forward.stream_id AND (s.lsn, s.ordinal) < (move_forward.lsn, move_forward.ordinal);
    PERFORM teamscale_internal.give_lease(move_forward.stream_id);
END
$$;
COMMENT ON FUNCTION teamscale_internal.move_forward(text, pg_lsn, bigint) IS
    'Notes what has been acked on this node, and ends the session''s lease. The slot follows when this has been committed.';
REVOKE ALL ON FUNCTION teamscale_internal.move_forward(text, pg_lsn, bigint) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.move_back(stream_id text, lsn pg_lsn, ordinal bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kept pg_lsn := (SELECT greatest(r.confirmed_flush_lsn, s.released)
                    FROM teamscale_internal.stream_slot AS s LEFT JOIN pg_replication_slots AS r ON r.slot_name = s.slot
                    WHERE s.stream_id = move_back.stream_id);
BEGIN
    IF lsn < kept THEN
        RAISE EXCEPTION 'the position is before what the stream has kept'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = format('On node "%s" the position is %s, the stream has kept the log from %s on.',
                                  teamscale_internal.node_name(teamscale_internal.this_node()), lsn, kept),
                  HINT = 'What has been acked is let go. teamscale.snapshot_events() gives the rows that there are now.';
    END IF;
    UPDATE teamscale_internal.stream_slot AS s SET lsn = move_back.lsn, ordinal = move_back.ordinal
    WHERE s.stream_id = move_back.stream_id;
END
$$;
COMMENT ON FUNCTION teamscale_internal.move_back(text, pg_lsn, bigint) IS
    'Sets the point of a stream on this node, not before what its slot has kept.';
REVOKE ALL ON FUNCTION teamscale_internal.move_back(text, pg_lsn, bigint) FROM PUBLIC;

-- Owners, granted roles, or those that may read what the events show.
CREATE FUNCTION teamscale_internal.may_read_stream(caller oid, stream teamscale_internal.event_stream) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(bool_or(pg_has_role(caller, r.oid, 'USAGE')), false)
    FROM pg_roles AS r WHERE r.rolname = ANY (stream.readers || stream.owner)
$$;
COMMENT ON FUNCTION teamscale_internal.may_read_stream(oid, teamscale_internal.event_stream) IS
    'Whether the role owns the stream or was granted it.';
REVOKE ALL ON FUNCTION teamscale_internal.may_read_stream(oid, teamscale_internal.event_stream) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.require_readable(caller oid, stream teamscale_internal.event_stream, "schema" text, "table" text)
    RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation regclass := to_regclass(format('%I.%I', "schema", "table"));
BEGIN
    IF relation IS NULL OR NOT has_table_privilege(caller, relation, 'SELECT') THEN
        RAISE EXCEPTION 'permission denied for event stream "%"', stream.name
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = format('It has events of %s, which role "%s" may not read.',
                                  coalesce(format('table %I.%I', "schema", "table"), 'no table'), pg_get_userbyid(caller)),
                  HINT = format('Grant SELECT on the stream''s tables, or run teamscale.grant_event_stream(%L, %L).', stream.name,
                                pg_get_userbyid(caller));
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_readable(oid, teamscale_internal.event_stream, text, text) IS
    'Raises 42501 unless the role may read the table itself.';
REVOKE ALL ON FUNCTION teamscale_internal.require_readable(oid, teamscale_internal.event_stream, text, text) FROM PUBLIC;

-- One node's events; of a node that does not answer none, when the caller can do without.
CREATE FUNCTION teamscale_internal.read_some_node(node integer, stream_name text, max_events integer, max_wait integer,
        partial boolean, OUT commit_lsn pg_lsn, OUT ordinal bigint, OUT next_lsn pg_lsn, OUT next_ordinal bigint,
        OUT committed_at timestamptz, OUT xid bigint, OUT op text, OUT "schema" text, OUT "table" text, OUT topic text,
        OUT key text, OUT id text, OUT payload text) RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF node = teamscale_internal.this_node() THEN
        RETURN QUERY SELECT * FROM teamscale_internal.read_node(stream_name, max_events, max_wait);
        RETURN;
    END IF;
    BEGIN
        RETURN QUERY SELECT * FROM teamscale_internal.rows_of_node(node,
            format('SELECT * FROM teamscale_internal.read_node(%L, %s, %s)', stream_name, max_events, max_wait))
            AS r (commit_lsn pg_lsn, ordinal bigint, next_lsn pg_lsn, next_ordinal bigint, committed_at timestamptz, xid bigint,
                  op text, "schema" text, "table" text, topic text, key text, id text, payload text);
    EXCEPTION WHEN connection_exception OR sqlclient_unable_to_establish_sqlconnection OR connection_failure THEN
        IF NOT partial THEN
            RAISE;
        END IF;
        RAISE WARNING 'node "%" does not answer: its events are left out', teamscale_internal.node_name(node) USING DETAIL = SQLERRM;
    END;
END
$$;
COMMENT ON FUNCTION teamscale_internal.read_some_node(integer, text, integer, integer, boolean) IS
    'The next events of a stream on one node.';
REVOKE ALL ON FUNCTION teamscale_internal.read_some_node(integer, text, integer, integer, boolean) FROM PUBLIC;

-- Nodes in the order of their ids: of two readers that begin at two nodes one has all leases, and the other is told.
CREATE FUNCTION teamscale_internal.poll_events(caller oid, stream text, max_events integer, max_wait interval, partial boolean,
        OUT id text, OUT node text, OUT lsn pg_lsn, OUT committed_at timestamptz, OUT xid bigint, OUT op text, OUT "schema" text,
        OUT "table" text, OUT topic text, OUT key json, OUT payload json, OUT "position" text) RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_stream teamscale_internal.event_stream := teamscale_internal.require_stream(stream);
    readable boolean := teamscale_internal.may_read_stream(caller, found_stream);
    nodes integer[] := teamscale_internal.stream_nodes();
    names text[];
    points text[];
    wait integer := extract(epoch FROM max_wait) * 1000;
    checked text[] := '{}';
    place integer;
    event record;
BEGIN
    IF max_events IS NULL OR max_events < 1 OR wait IS NULL OR wait < 0 THEN
        RAISE EXCEPTION 'invalid max_events or max_wait'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('max_events is %s, max_wait is %s.', coalesce(max_events::text, 'null'),
                                  coalesce(max_wait::text, 'null')),
                  HINT = 'max_events is at least 1; max_wait is an interval, 0 for not waiting.';
    END IF;
    names := ARRAY(SELECT teamscale_internal.node_name(n) FROM unnest(nodes) WITH ORDINALITY AS u (n, i) ORDER BY i);
    points := array_fill(NULL::text, ARRAY[cardinality(nodes)]);
    FOR event IN
        -- Commits are not always in the order of their times on one node, and what replication brought has the time
        -- of its origin or none.
        SELECT e.*, u.i, coalesce(max(e.committed_at) OVER (PARTITION BY u.i ORDER BY e.commit_lsn, e.ordinal), '-infinity')
                             AS merge_time
        FROM unnest(nodes) WITH ORDINALITY AS u (n, i)
             CROSS JOIN LATERAL teamscale_internal.read_some_node(u.n, stream, max_events,
                 CASE WHEN cardinality(nodes) = 1 THEN wait ELSE 0 END, partial) AS e
        ORDER BY merge_time, u.i, e.commit_lsn, e.ordinal
        LIMIT max_events
    LOOP
        IF NOT readable AND concat(event."schema", '.', event."table") <> ALL (checked) THEN
            PERFORM teamscale_internal.require_readable(caller, found_stream, event."schema", event."table");
            checked := checked || concat(event."schema", '.', event."table");
        END IF;
        place := event.i;
        points[place] := format('%s=%s:%s', nodes[place], event.next_lsn, event.next_ordinal);
        id := event.id; node := names[place]; lsn := event.commit_lsn; committed_at := event.committed_at; xid := event.xid;
        op := event.op; "schema" := event."schema"; "table" := event."table"; topic := event.topic; key := event.key;
        payload := event.payload;
        "position" := found_stream.stream_id || ' ' || array_to_string(points, ' ');
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.poll_events(oid, text, integer, interval, boolean) IS
    'What teamscale.poll_events() does for its caller: the nodes'' events, merged by the time of their commit.';
REVOKE ALL ON FUNCTION teamscale_internal.poll_events(oid, text, integer, interval, boolean) FROM PUBLIC;

CREATE FUNCTION teamscale.poll_events(stream text, max_events integer DEFAULT 1000, max_wait interval DEFAULT '0',
        partial boolean DEFAULT false, OUT id text, OUT node text, OUT lsn pg_lsn, OUT committed_at timestamptz, OUT xid bigint,
        OUT op text, OUT "schema" text, OUT "table" text, OUT topic text, OUT key json, OUT payload json, OUT "position" text)
    RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_call_as_owner';
COMMENT ON FUNCTION teamscale.poll_events(text, integer, interval, boolean) IS
    'The next events of a stream, in the order of their commits on each node; nothing is consumed: ack_events() with the position '
    'of the last one that was dealt with goes on. The session is the stream''s only reader from now to the ack. max_wait: how long '
    'to wait for an event, or for another reader''s ack. partial: leave out a node that does not answer.';

CREATE FUNCTION teamscale_internal.ack_events(caller oid, stream text, "position" text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_stream teamscale_internal.event_stream := teamscale_internal.require_stream(stream);
    point record;
    leased boolean;
BEGIN
    -- Whoever could poll may ack: only the session that has the lease.
    FOR point IN SELECT * FROM teamscale_internal.points_of(found_stream, "position") LOOP
        IF point.node = teamscale_internal.this_node() THEN
            leased := teamscale_internal.has_lease(found_stream.stream_id);
        ELSE
            SELECT r.leased INTO leased FROM teamscale_internal.rows_of_node(point.node,
                format('SELECT teamscale_internal.has_lease(%L)', found_stream.stream_id)) AS r (leased boolean);
        END IF;
        IF NOT leased THEN
            RAISE EXCEPTION 'this session is not the reader of event stream "%"', stream
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      DETAIL = format('It has polled no events on node "%s" since its last ack, or its connection there was lost.',
                                      teamscale_internal.node_name(point.node)),
                      HINT = 'Poll again: events that were not acked come again, with the same ids.';
        END IF;
        PERFORM teamscale_internal.run_for_stream(point.node,
            format('SELECT teamscale_internal.move_forward(%L, %L, %s)', found_stream.stream_id, point.lsn, point.ordinal));
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.ack_events(oid, text, text) IS 'What teamscale.ack_events() does for its caller.';
REVOKE ALL ON FUNCTION teamscale_internal.ack_events(oid, text, text) FROM PUBLIC;

CREATE FUNCTION teamscale.ack_events(stream text, "position" text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_call_as_owner';
COMMENT ON FUNCTION teamscale.ack_events(text, text) IS
    'The events up to this position, as poll_events() gave it, have been dealt with: once this transaction commits they do not '
    'come again. Another session may read then.';

CREATE FUNCTION teamscale_internal.restart_event_stream(caller oid, name text, OUT node text, OUT missing_from pg_lsn,
                                                        OUT missing_to pg_lsn) RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stream teamscale_internal.event_stream := teamscale_internal.require_stream_owner(caller, name);
    nodes integer[] := teamscale_internal.stream_nodes();
    stopped integer[] := '{}';
    slots text[] := '{}';
    starts pg_lsn[] := '{}';
    begins pg_lsn[] := '{}';
    n integer;
    state record;
BEGIN
    FOREACH n IN ARRAY nodes LOOP
        IF n = teamscale_internal.this_node() THEN
            SELECT * INTO state FROM teamscale_internal.slot_state(stream.stream_id);
        ELSE
            SELECT * INTO state FROM teamscale_internal.rows_of_node(n,
                format('SELECT * FROM teamscale_internal.slot_state(%L)', stream.stream_id)) AS r (runs boolean, lsn pg_lsn);
        END IF;
        IF NOT coalesce(state.runs, false) THEN
            stopped := stopped || n;
            begins := begins || state.lsn;
        END IF;
    END LOOP;
    FOR i IN 1 .. cardinality(stopped) LOOP
        slots := slots || teamscale_internal.new_slot_name(stopped[i]);
        starts := starts || teamscale_internal.create_slot_on(stopped[i], slots[i]);
    END LOOP;
    IF stopped <> '{}' THEN
        PERFORM teamscale_internal.begin_stream_change(nodes);
    END IF;
    FOR i IN 1 .. cardinality(stopped) LOOP
        PERFORM teamscale_internal.run_for_stream(stopped[i],
            format('INSERT INTO teamscale_internal.event_stream (stream_id, name, owner, readers, options, max_retained_wal) '
                   'VALUES (%L, %L, %L, %L, %L, %L) ON CONFLICT DO NOTHING', stream.stream_id, stream.name, stream.owner,
                   stream.readers, stream.options, stream.max_retained_wal));
        PERFORM teamscale_internal.run_for_stream(stopped[i],
            format('SELECT teamscale_internal.store_slot(%L, %L, %L)', stream.stream_id, slots[i], starts[i]));
        node := teamscale_internal.node_name(stopped[i]);
        missing_from := begins[i];
        missing_to := starts[i];
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.restart_event_stream(oid, text) IS 'What teamscale.restart_event_stream() does for its caller.';
REVOKE ALL ON FUNCTION teamscale_internal.restart_event_stream(oid, text) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.slot_state(stream_id text, OUT runs boolean, OUT lsn pg_lsn) RETURNS record
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT teamscale_internal.slot_problem(s) IS NULL, s.lsn
    FROM teamscale_internal.stream_slot AS s WHERE s.stream_id = slot_state.stream_id
$$;
COMMENT ON FUNCTION teamscale_internal.slot_state(text) IS 'Whether this node''s part of a stream can go on, and where it is.';
REVOKE ALL ON FUNCTION teamscale_internal.slot_state(text) FROM PUBLIC;

CREATE FUNCTION teamscale.restart_event_stream(name text, OUT node text, OUT missing_from pg_lsn, OUT missing_to pg_lsn)
    RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_call_as_owner';
COMMENT ON FUNCTION teamscale.restart_event_stream(text) IS
    'Gives a stream of the caller''s new slots where it has stopped, or where a node came later, and tells which part of each '
    'log is missing (from null: all before). snapshot_events() fills what is missing.';
