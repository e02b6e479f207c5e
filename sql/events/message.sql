-- What the application, and teamscale itself, write into the log besides rows.

CREATE FUNCTION teamscale_internal.write_event(stream text, topic text, key text, headers text, payload text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_write_event';
COMMENT ON FUNCTION teamscale_internal.write_event(text, text, text, text, text) IS
    'Writes an event of emit_event() into this node''s log, for one stream or (null) for all.';
REVOKE ALL ON FUNCTION teamscale_internal.write_event(text, text, text, text, text) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.write_ddl(event text) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_write_ddl';
COMMENT ON FUNCTION teamscale_internal.write_ddl(text) IS 'Writes a DDL event into this node''s log.';
REVOKE ALL ON FUNCTION teamscale_internal.write_ddl(text) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.emit_event(caller oid, topic text, key text, payload json, headers jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF topic IS NULL OR topic = '' THEN
        RAISE EXCEPTION 'an event needs a topic' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF jsonb_typeof(headers) <> 'object' THEN
        RAISE EXCEPTION 'the headers of an event are a JSON object'
            USING ERRCODE = 'invalid_parameter_value', DETAIL = format('They are %s.', headers);
    END IF;
    PERFORM teamscale_internal.write_event(NULL, topic, key, headers::text, payload::text);
END
$$;
COMMENT ON FUNCTION teamscale_internal.emit_event(oid, text, text, json, jsonb) IS 'What teamscale.emit_event() does for its caller.';
REVOKE ALL ON FUNCTION teamscale_internal.emit_event(oid, text, text, json, jsonb) FROM PUBLIC;

CREATE FUNCTION teamscale.emit_event(topic text, key text, payload json, headers jsonb DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_call_as_owner';
COMMENT ON FUNCTION teamscale.emit_event(text, text, json, jsonb) IS
    'An event of the application''s own in all streams, in order with the rows that its transaction writes on this node, and only '
    'if it commits: an outbox without a table.';
REVOKE ALL ON FUNCTION teamscale.emit_event(text, text, json, jsonb) FROM PUBLIC;

-- On the node that has the key's rows: in order with them, and a transaction that writes there only commits alone.
CREATE FUNCTION teamscale.emit_event(topic text, key text, payload json, headers jsonb, "table" regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM teamscale.run_on_key("table", key, format('SELECT teamscale.emit_event(%L, %L, %L::json, %L::jsonb)',
                                                           topic, key, payload, headers));
END
$$;
COMMENT ON FUNCTION teamscale.emit_event(text, text, json, jsonb, regclass) IS
    'The same on the node that has the rows of a sharded table with this key.';
REVOKE ALL ON FUNCTION teamscale.emit_event(text, text, json, jsonb, regclass) FROM PUBLIC;

-- DDL events. The version is that of the table's schema after the command, as the rows' events refer to it. Statements
-- that may hold a password go without their text.

CREATE FUNCTION teamscale_internal.schema_version("table" regclass) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_schema_version';
COMMENT ON FUNCTION teamscale_internal.schema_version(regclass) IS 'The version of a table''s schema that its events refer to.';

CREATE FUNCTION teamscale_internal.is_user_schema("schema" text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce("schema" !~ '^(pg_|information_schema$|teamscale(_internal|_bucket)?$)', true)
$$;
COMMENT ON FUNCTION teamscale_internal.is_user_schema(text) IS 'Whether what happens in the schema is an event.';

CREATE FUNCTION teamscale_internal.wants_ddl() RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM teamscale_internal.event_stream AS s
                   WHERE teamscale_internal.option_of(s.options, 'ddl')::boolean)
$$;
COMMENT ON FUNCTION teamscale_internal.wants_ddl() IS 'Whether any stream has DDL events.';
REVOKE ALL ON FUNCTION teamscale_internal.wants_ddl() FROM PUBLIC;

CREATE FUNCTION teamscale_internal.note_command() RETURNS event_trigger
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    object record;
    secret constant text := '(USER MAPPING|SERVER|SUBSCRIPTION|FOREIGN DATA WRAPPER)$';
BEGIN
    IF NOT teamscale_internal.wants_ddl() THEN
        RETURN;
    END IF;
    FOR object IN
        SELECT DISTINCT ON (c.command_tag, c.classid, c.objid) c.* FROM pg_event_trigger_ddl_commands() AS c
        WHERE NOT c.in_extension AND teamscale_internal.is_user_schema(c.schema_name)
    LOOP
        PERFORM teamscale_internal.write_ddl(json_build_object(
            'tag', object.command_tag, 'type', object.object_type, 'schema', object.schema_name, 'object', object.object_identity,
            'statement', CASE WHEN object.command_tag !~ secret THEN current_query() END,
            'schemaVersion', CASE WHEN object.classid = 'pg_class'::regclass AND object.object_type IN ('table', 'table column')
                                  THEN teamscale_internal.schema_version(object.objid::regclass) END)::text);
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.note_command() IS 'Event trigger: DDL events of what was made or changed.';
REVOKE ALL ON FUNCTION teamscale_internal.note_command() FROM PUBLIC;

CREATE FUNCTION teamscale_internal.note_drop() RETURNS event_trigger
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    object record;
BEGIN
    -- Our own tables may be among what is dropped.
    IF to_regclass('teamscale_internal.message_secret') IS NULL OR NOT teamscale_internal.wants_ddl() THEN
        RETURN;
    END IF;
    FOR object IN
        SELECT * FROM pg_event_trigger_dropped_objects() AS d
        WHERE d.original AND NOT d.is_temporary AND teamscale_internal.is_user_schema(d.schema_name)
    LOOP
        PERFORM teamscale_internal.write_ddl(json_build_object(
            'tag', TG_TAG, 'type', object.object_type, 'schema', object.schema_name, 'object', object.object_identity,
            'statement', current_query(), 'dropped', true)::text);
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.note_drop() IS 'Event trigger: DDL events of what was dropped.';
REVOKE ALL ON FUNCTION teamscale_internal.note_drop() FROM PUBLIC;

CREATE EVENT TRIGGER teamscale_note_command ON ddl_command_end EXECUTE FUNCTION teamscale_internal.note_command();
COMMENT ON EVENT TRIGGER teamscale_note_command IS 'DDL events for streams that want them.';
CREATE EVENT TRIGGER teamscale_note_drop ON sql_drop EXECUTE FUNCTION teamscale_internal.note_drop();
COMMENT ON EVENT TRIGGER teamscale_note_drop IS 'DDL events for streams that want them.';
