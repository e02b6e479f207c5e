-- What the maintenance worker does for streams, and what they are doing.

-- A slot holds back the log of the whole server: one that no stream has, which a failure left or a dropped stream had, goes.
-- Not while somebody is making slots, whose streams are not there yet.
CREATE FUNCTION teamscale_internal.keep_streams() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    leftover record;
    greedy record;
    behind record;
BEGIN
    FOR behind IN
        SELECT s.slot, s.released
        FROM teamscale_internal.stream_slot AS s JOIN pg_replication_slots AS r ON r.slot_name = s.slot
        WHERE s.stopped IS NULL AND NOT r.active AND r.wal_status <> 'lost' AND r.confirmed_flush_lsn < s.released
    LOOP
        PERFORM pg_replication_slot_advance(behind.slot, behind.released);
    END LOOP;
    FOR greedy IN
        SELECT s.stream_id, e.name, s.slot, e.max_retained_wal, pg_current_wal_lsn() - r.restart_lsn AS retained
        FROM teamscale_internal.stream_slot AS s JOIN teamscale_internal.event_stream AS e USING (stream_id)
             JOIN pg_replication_slots AS r ON r.slot_name = s.slot
        WHERE s.stopped IS NULL AND pg_current_wal_lsn() - r.restart_lsn > e.max_retained_wal
    LOOP
        RAISE WARNING 'event stream "%" is stopped: it holds back more of the log than it may', greedy.name
            USING DETAIL = format('It holds back %s bytes; max_retained_wal is %s.', greedy.retained, greedy.max_retained_wal);
        UPDATE teamscale_internal.stream_slot AS s
        SET stopped = format('it held back %s bytes of the log, and max_retained_wal is %s', greedy.retained, greedy.max_retained_wal)
        WHERE s.stream_id = greedy.stream_id;
    END LOOP;
    IF NOT pg_try_advisory_xact_lock('teamscale_internal.stream_slot'::regclass::oid::integer, 1) THEN
        RETURN;
    END IF;
    FOR leftover IN
        SELECT r.slot_name FROM pg_replication_slots AS r
        WHERE r.plugin = 'teamscale' AND r.database = current_database() AND r.slot_name ~ '^teamscale_[0-9]+_[0-9a-f]{32}$'
          AND NOT r.active AND r.slot_name NOT IN (SELECT s.slot FROM teamscale_internal.stream_slot AS s WHERE s.stopped IS NULL)
    LOOP
        RAISE LOG 'dropping replication slot "%", which no event stream has', leftover.slot_name;
        PERFORM pg_drop_replication_slot(leftover.slot_name);
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.keep_streams() IS
    'Lets slots follow what was acked, stops streams that hold back too much of the log, and drops slots that no stream has.';
REVOKE ALL ON FUNCTION teamscale_internal.keep_streams() FROM PUBLIC;

CREATE FUNCTION teamscale_internal.option_of(options text[], option text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(options[i + 1], '; ' ORDER BY i) FROM generate_series(1, cardinality(options), 2) AS i WHERE options[i] = option
$$;
COMMENT ON FUNCTION teamscale_internal.option_of(text[], text) IS 'The value of one of a stream''s options.';

CREATE VIEW teamscale.event_stream AS
    SELECT s.name, s.owner, s.readers, o.format, o.tables, o.exclude_tables, o.row_filter, s.max_retained_wal
    FROM teamscale_internal.event_stream AS s
         CROSS JOIN LATERAL (SELECT teamscale_internal.option_of(s.options, 'format'), teamscale_internal.option_of(s.options, 'tables'),
                                    teamscale_internal.option_of(s.options, 'exclude_tables'),
                                    teamscale_internal.option_of(s.options, 'row_filter'))
             AS o (format, tables, exclude_tables, row_filter);
COMMENT ON VIEW teamscale.event_stream IS 'The streams of change events.';
COMMENT ON COLUMN teamscale.event_stream.name IS 'The stream, on all nodes.';
COMMENT ON COLUMN teamscale.event_stream.owner IS 'The role that may change it.';
COMMENT ON COLUMN teamscale.event_stream.readers IS 'Roles that may read it, whatever they may read of its tables.';
COMMENT ON COLUMN teamscale.event_stream.format IS 'cloudevents, debezium or row.';
COMMENT ON COLUMN teamscale.event_stream.tables IS 'Patterns of the tables that it has; null: all.';
COMMENT ON COLUMN teamscale.event_stream.exclude_tables IS 'Patterns of tables that it does not have.';
COMMENT ON COLUMN teamscale.event_stream.row_filter IS 'Conditions on its rows.';
COMMENT ON COLUMN teamscale.event_stream.max_retained_wal IS 'Bytes of log that it may hold back before it is stopped.';
GRANT SELECT ON teamscale.event_stream TO PUBLIC;

CREATE VIEW teamscale.stat_event_stream AS
    SELECT e.name, s.slot,
           CASE WHEN p.problem IS NOT NULL THEN 'stopped' WHEN r.active THEN 'read' ELSE 'waiting' END AS state,
           p.problem, s.lsn, pg_catalog.pg_current_wal_lsn() - s.lsn AS lag_bytes, s.acked_at,
           pg_catalog.now() - s.acked_at AS since_ack, pg_catalog.pg_current_wal_lsn() - r.restart_lsn AS retained_bytes,
           e.max_retained_wal, t.total_txns AS decoded_transactions, t.total_bytes AS decoded_bytes, t.spill_txns AS spilled_transactions,
           t.spill_bytes AS spilled_bytes
    FROM teamscale_internal.stream_slot AS s JOIN teamscale_internal.event_stream AS e USING (stream_id)
         LEFT JOIN pg_catalog.pg_replication_slots AS r ON r.slot_name = s.slot
         LEFT JOIN pg_catalog.pg_stat_replication_slots AS t ON t.slot_name = s.slot
         CROSS JOIN LATERAL (SELECT teamscale_internal.slot_problem(s)) AS p (problem);
COMMENT ON VIEW teamscale.stat_event_stream IS 'What the streams are doing on this node.';
COMMENT ON COLUMN teamscale.stat_event_stream.name IS 'The stream.';
COMMENT ON COLUMN teamscale.stat_event_stream.slot IS 'Its replication slot on this node.';
COMMENT ON COLUMN teamscale.stat_event_stream.state IS 'read: somebody decodes now; waiting: nobody does; stopped: it cannot go on.';
COMMENT ON COLUMN teamscale.stat_event_stream.problem IS 'Why it has stopped.';
COMMENT ON COLUMN teamscale.stat_event_stream.lsn IS 'The point up to which events have been acked.';
COMMENT ON COLUMN teamscale.stat_event_stream.lag_bytes IS 'How much log was written since.';
COMMENT ON COLUMN teamscale.stat_event_stream.acked_at IS 'When events were acked last.';
COMMENT ON COLUMN teamscale.stat_event_stream.since_ack IS 'How long ago that was.';
COMMENT ON COLUMN teamscale.stat_event_stream.retained_bytes IS 'How much log its slot holds back.';
COMMENT ON COLUMN teamscale.stat_event_stream.max_retained_wal IS 'How much it may hold back before it is stopped.';
COMMENT ON COLUMN teamscale.stat_event_stream.decoded_transactions IS 'Transactions decoded, by pg_stat_replication_slots.';
COMMENT ON COLUMN teamscale.stat_event_stream.decoded_bytes IS 'Bytes of changes decoded.';
COMMENT ON COLUMN teamscale.stat_event_stream.spilled_transactions IS 'Transactions that did not fit into logical_decoding_work_mem.';
COMMENT ON COLUMN teamscale.stat_event_stream.spilled_bytes IS 'Bytes of changes spilled to disk.';
REVOKE ALL ON teamscale.stat_event_stream FROM PUBLIC;
GRANT SELECT ON teamscale.stat_event_stream TO pg_monitor;
GRANT EXECUTE ON FUNCTION teamscale_internal.slot_problem(teamscale_internal.stream_slot) TO pg_monitor; -- called as whoever reads the view
