-- Event streams. event_stream is the same on every node; stream_slot is each node's own.

CREATE TABLE teamscale_internal.event_stream (
    stream_id text PRIMARY KEY CHECK (stream_id ~ '^[0-9a-f]{16}$'),
    name text NOT NULL UNIQUE,
    owner name NOT NULL,
    readers name[] NOT NULL DEFAULT '{}',
    options text[] NOT NULL,
    max_retained_wal bigint CHECK (max_retained_wal > 0)
);
COMMENT ON TABLE teamscale_internal.event_stream IS
    'The streams of change events. options: names and values for the output plugin, one after the other. readers: roles '
    'that may read it besides those that may read its tables. max_retained_wal: bytes of log that it may hold back.';

CREATE TABLE teamscale_internal.stream_slot (
    stream_id text PRIMARY KEY REFERENCES teamscale_internal.event_stream ON DELETE CASCADE,
    slot name NOT NULL UNIQUE,
    timeline integer NOT NULL,
    lsn pg_lsn NOT NULL,
    ordinal bigint NOT NULL,
    released pg_lsn NOT NULL,
    acked_at timestamptz NOT NULL DEFAULT now(),
    stopped text
);
COMMENT ON TABLE teamscale_internal.stream_slot IS
    'This node''s part of each stream: its slot, the point that readers have acked, and up to where the slot may let go of '
    'the log. stopped: why the stream gave up its slot.';

CREATE TABLE teamscale_internal.message_secret (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    secret text NOT NULL
);
COMMENT ON TABLE teamscale_internal.message_secret IS
    'One row: by what the output plugin knows logical messages that teamscale wrote from others''.';
INSERT INTO teamscale_internal.message_secret (secret)
    SELECT md5(gen_random_uuid()::text) || md5(gen_random_uuid()::text);

CREATE TABLE teamscale_internal.stream_snapshot (
    stream_id text REFERENCES teamscale_internal.event_stream ON DELETE CASCADE,
    "table" text,
    leaf text,
    last_key text[],
    rows bigint NOT NULL DEFAULT 0,
    finished boolean NOT NULL DEFAULT false,
    PRIMARY KEY (stream_id, "table", leaf)
);
COMMENT ON TABLE teamscale_internal.stream_snapshot IS
    'How far snapshot_events() has come on this node: for each leaf of the table the key of the last row.';

REVOKE ALL ON teamscale_internal.event_stream, teamscale_internal.stream_slot, teamscale_internal.message_secret,
    teamscale_internal.stream_snapshot FROM PUBLIC;

CREATE FUNCTION teamscale_internal.plugin_options(stream text, OUT option text, OUT value text) RETURNS SETOF record
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_stream teamscale_internal.event_stream := teamscale_internal.require_stream(stream);
BEGIN
    RETURN QUERY SELECT 'stream_id', found_stream.stream_id;
    RETURN QUERY SELECT found_stream.options[i], found_stream.options[i + 1]
                 FROM generate_series(1, cardinality(found_stream.options), 2) AS i;
END
$$;
COMMENT ON FUNCTION teamscale_internal.plugin_options(text) IS 'What a stream asks of the output plugin.';
REVOKE ALL ON FUNCTION teamscale_internal.plugin_options(text) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.require_stream(stream text) RETURNS teamscale_internal.event_stream
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_stream teamscale_internal.event_stream;
BEGIN
    SELECT * INTO found_stream FROM teamscale_internal.event_stream AS s WHERE s.name = stream;
    IF found_stream IS NULL THEN
        RAISE EXCEPTION 'event stream "%" does not exist', stream
            USING ERRCODE = 'undefined_object', HINT = 'The view teamscale.event_stream lists the streams.';
    END IF;
    RETURN found_stream;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_stream(text) IS 'The stream of that name; 42704 when there is none.';
REVOKE ALL ON FUNCTION teamscale_internal.require_stream(text) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.require_stream_owner(caller oid, stream text) RETURNS teamscale_internal.event_stream
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_stream teamscale_internal.event_stream := teamscale_internal.require_stream(stream);
BEGIN
    IF to_regrole(quote_ident(found_stream.owner)) IS NULL OR NOT pg_has_role(caller, found_stream.owner, 'USAGE') THEN
        RAISE EXCEPTION 'must be owner of event stream "%"', stream
            USING ERRCODE = 'insufficient_privilege', DETAIL = format('Its owner is "%s".', found_stream.owner);
    END IF;
    RETURN found_stream;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_stream_owner(oid, text) IS 'The stream; 42501 unless the caller owns it.';
REVOKE ALL ON FUNCTION teamscale_internal.require_stream_owner(oid, text) FROM PUBLIC;
