-- For light users: who was changed, by NOTIFY, without a stream.

CREATE FUNCTION teamscale.notify_event() RETURNS trigger
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    channel text := coalesce(TG_ARGV[0], 'teamscale_event');
    changed jsonb := CASE TG_OP WHEN 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
    message jsonb;
    room constant integer := 7999;  -- bytes that a notification may have
BEGIN
    IF TG_LEVEL <> 'ROW' OR TG_WHEN <> 'AFTER' THEN
        RAISE EXCEPTION 'trigger "%" on table "%" must be AFTER ... FOR EACH ROW', TG_NAME, TG_RELID::regclass
            USING ERRCODE = 'trigger_protocol_violated';
    END IF;
    IF teamscale_internal.is_sharded(TG_RELID) THEN
        RAISE EXCEPTION 'table "%" is sharded: it cannot notify', TG_RELID::regclass
            USING ERRCODE = 'feature_not_supported',
                  DETAIL = 'A transaction that has notified cannot be prepared, and so not be committed on several nodes.',
                  HINT = 'Use teamscale.create_event_stream().';
    END IF;
    message := jsonb_build_object('op', lower(TG_OP), 'schema', TG_TABLE_SCHEMA,
                                  'table', TG_TABLE_NAME, 'xid', pg_current_xact_id()::text);
    message := message || jsonb_build_object('key', (
        SELECT jsonb_object_agg(a.attname, changed -> a.attname::text)
        FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
        WHERE i.indrelid = TG_RELID AND i.indisprimary));
    IF octet_length(message::text) > room THEN
        message := message || '{"key": null, "truncated": true}';
    END IF;
    PERFORM pg_notify(channel, message::text);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION teamscale.notify_event() IS
    'Trigger AFTER ... FOR EACH ROW: notifies the channel that is its argument (teamscale_event) of the operation, the table and the '
    'primary key of a row that was changed; without the key, and marked truncated, when that would be too long.';

CREATE FUNCTION teamscale_internal.is_sharded(relation oid) RETURNS boolean
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM teamscale_internal.sharded_table AS t
                   WHERE t.relation = $1::regclass OR t.relation = pg_partition_root($1::regclass))
$$;
COMMENT ON FUNCTION teamscale_internal.is_sharded(oid) IS 'Whether a relation is a sharded table or one of its leaves.';
