-- The journal of online rewrites: partitions (sources) whose rows move to new ones (targets) while everything goes on.
-- A rewrite that was interrupted goes on where its phase says. The row is deleted in the transaction that puts the
-- targets in the sources' place.

CREATE TABLE teamscale_internal.rewrite (
    rewrite_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    relation oid NOT NULL UNIQUE,
    operation text NOT NULL CHECK (operation IN ('split', 'merge', 'drain', 'move')),
    phase text NOT NULL DEFAULT 'building'
        CHECK (phase IN ('building', 'mirroring', 'copying', 'checking', 'waiting', 'securing', 'swapping')),
    cancelled boolean NOT NULL DEFAULT false,
    destination oid,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    phase_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    rows_copied bigint NOT NULL DEFAULT 0,
    swap_attempts integer NOT NULL DEFAULT 0,
    waits_for integer[] NOT NULL DEFAULT '{}',
    horizon xid8
);
COMMENT ON TABLE teamscale_internal.rewrite IS
    'Unfinished rewrites of partitions. relation: the partitioned table; destination: the table that rows are copied to, which '
    'routes them to the targets; phase: what is to be done next; cancelled: whoever works on it stops; '
    'waits_for: the processes that keep it waiting; horizon: snapshots that have this transaction behind them know the copy.';

CREATE TABLE teamscale_internal.rewrite_source (
    source oid PRIMARY KEY,
    rewrite_id bigint NOT NULL REFERENCES teamscale_internal.rewrite ON DELETE CASCADE,
    position smallint NOT NULL,
    file oid,
    blocks bigint,
    remaining int8multirange
);
COMMENT ON TABLE teamscale_internal.rewrite_source IS
    'The partitions that a rewrite replaces. file: the file node whose blocks are counted; remaining: the blocks whose rows are '
    'not all copied yet; null before the mirror is there.';

CREATE TABLE teamscale_internal.rewrite_target (
    rewrite_id bigint NOT NULL REFERENCES teamscale_internal.rewrite ON DELETE CASCADE,
    position smallint NOT NULL,
    schema name NOT NULL,
    name name NOT NULL,
    bound text NOT NULL,
    template oid NOT NULL,
    tablespace name,
    target oid,
    PRIMARY KEY (rewrite_id, position)
);
COMMENT ON TABLE teamscale_internal.rewrite_target IS
    'The partitions that a rewrite makes: their names and bounds in the end. template: the table whose properties one gets, a source or '
    'the partitioned table; tablespace: another one than the template''s; target: the table that will be it.';

CREATE TABLE teamscale_internal.rewrite_relation (
    relation oid PRIMARY KEY,
    rewrite_id bigint NOT NULL REFERENCES teamscale_internal.rewrite ON DELETE CASCADE,
    is_copy boolean NOT NULL,
    is_closed boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE teamscale_internal.rewrite_relation IS
    'The relations whose definitions must stay as they are during a rewrite. is_copy: those that it made; is_closed: a partitioned '
    'table whose other partitions must neither come nor go.';

REVOKE ALL ON teamscale_internal.rewrite, teamscale_internal.rewrite_source, teamscale_internal.rewrite_target,
              teamscale_internal.rewrite_relation FROM PUBLIC;

-- Targets travel as an array of objects with the columns above.
CREATE FUNCTION teamscale_internal.rewrite_targets(targets jsonb)
    RETURNS TABLE ("position" smallint, schema name, name name, bound text, template oid, tablespace name, target oid)
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.position::smallint, r.schema, r.name, r.bound, r.template, r.tablespace, r.target
    FROM jsonb_array_elements(targets) WITH ORDINALITY AS t (target, position)
         CROSS JOIN LATERAL jsonb_to_record(t.target)
             AS r (schema name, name name, bound text, template oid, tablespace name, target oid)
$$;
COMMENT ON FUNCTION teamscale_internal.rewrite_targets(jsonb) IS 'The targets of a rewrite, one row each, in their order.';

-- The unfinished rewrite of a table when it is the one described; null when there is none.
CREATE FUNCTION teamscale_internal.find_rewrite(relation oid, operation text, sources oid[], targets jsonb) RETURNS bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found teamscale_internal.rewrite;
BEGIN
    SELECT r.* INTO found FROM teamscale_internal.rewrite AS r WHERE r.relation = find_rewrite.relation;
    IF found.rewrite_id IS NULL THEN
        RETURN NULL;
    END IF;
    IF found.operation <> operation
       OR sources <> ARRAY(SELECT s.source FROM teamscale_internal.rewrite_source AS s
                           WHERE s.rewrite_id = found.rewrite_id ORDER BY s.position)
       OR ARRAY(SELECT ROW(t.schema, t.name, t.bound, t.template, t.tablespace) FROM teamscale_internal.rewrite_targets(targets) AS t
                ORDER BY t.position)
          <> ARRAY(SELECT ROW(t.schema, t.name, t.bound, t.template, t.tablespace) FROM teamscale_internal.rewrite_target AS t
                   WHERE t.rewrite_id = found.rewrite_id ORDER BY t.position) THEN
        RAISE EXCEPTION 'table "%" has an unfinished rewrite', found.relation::regclass
            USING ERRCODE = 'object_in_use',
                  DETAIL = format('It is a %s that began at %s.', found.operation, found.started_at),
                  HINT = 'Finish it with CALL teamscale.resume_rewrite(), or undo it with CALL teamscale.cancel_rewrite().';
    END IF;
    RETURN found.rewrite_id;
END
$$;
COMMENT ON FUNCTION teamscale_internal.find_rewrite(oid, text, oid[], jsonb) IS
    'The unfinished rewrite of a table if it is the same as the one described, null when there is none; 55006 when it is another.';

CREATE FUNCTION teamscale_internal.store_rewrite(relation oid, operation text, sources oid[], targets jsonb) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id bigint;
BEGIN
    INSERT INTO teamscale_internal.rewrite (relation, operation) VALUES (store_rewrite.relation, store_rewrite.operation)
        ON CONFLICT DO NOTHING RETURNING rewrite_id INTO id;
    IF id IS NULL THEN
        -- Somebody else was faster.
        RETURN teamscale_internal.find_rewrite(relation, operation, sources, targets);
    END IF;
    INSERT INTO teamscale_internal.rewrite_source (source, rewrite_id, position)
        SELECT s.source, id, s.position FROM unnest(sources) WITH ORDINALITY AS s (source, position);
    INSERT INTO teamscale_internal.rewrite_target (rewrite_id, position, schema, name, bound, template, tablespace)
        SELECT id, t.position, t.schema, t.name, t.bound, t.template, t.tablespace FROM teamscale_internal.rewrite_targets(targets) AS t;
    INSERT INTO teamscale_internal.rewrite_relation (relation, rewrite_id, is_copy)
        SELECT r, id, false FROM unnest(sources || store_rewrite.relation) AS r;
    RETURN id;
END
$$;
COMMENT ON FUNCTION teamscale_internal.store_rewrite(oid, text, oid[], jsonb) IS
    'Begins a rewrite, and keeps others from changing the definitions of its table and sources.';
REVOKE ALL ON FUNCTION teamscale_internal.store_rewrite(oid, text, oid[], jsonb) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.record_rewrite(relation regclass, operation text, sources oid[], targets jsonb) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_record_rewrite';
COMMENT ON FUNCTION teamscale_internal.record_rewrite(regclass, text, oid[], jsonb) IS 'store_rewrite() for the owner of the table.';
