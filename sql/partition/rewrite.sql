-- Splitting and merging partitions while everything goes on; unfinished rewrites.

CREATE FUNCTION teamscale_internal.split_bounds(partition regclass, "at" text[]) RETURNS text[]
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_split_bounds';
COMMENT ON FUNCTION teamscale_internal.split_bounds(regclass, text[]) IS
    'The bounds of the partitions that one is split into, as ATTACH PARTITION has them; 22023 when it cannot be split so.';

CREATE FUNCTION teamscale_internal.merged_bound(partitions regclass[]) RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_merged_bound';
COMMENT ON FUNCTION teamscale_internal.merged_bound(regclass[]) IS
    'The bound of the one partition that several become, as ATTACH PARTITION has it; 22023 when they do not fit together.';

CREATE PROCEDURE teamscale_internal.run_rewrite(id bigint)
    LANGUAGE c AS 'MODULE_PATHNAME', 'teamscale_run_rewrite';
COMMENT ON PROCEDURE teamscale_internal.run_rewrite(bigint) IS
    'Carries an unfinished rewrite to its end, in a session of the table''s owner. Commits.';

-- The partitioned table of partitions, all of which must be its. The caller owns it.
CREATE FUNCTION teamscale_internal.require_partitions(partitions regclass[]) RETURNS regclass
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent regclass;
    stranger regclass;
BEGIN
    IF (SELECT count(DISTINCT p) FROM unnest(partitions) AS p) IS DISTINCT FROM cardinality(partitions) THEN
        RAISE EXCEPTION 'partitions must be given once each' USING ERRCODE = 'invalid_parameter_value',
            DETAIL = format('Given are %s.', coalesce(partitions::text, 'NULL'));
    END IF;
    SELECT i.inhparent INTO parent FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid AND c.relispartition
    WHERE i.inhrelid = partitions[1];
    SELECT p INTO stranger FROM unnest(partitions) AS p
    WHERE NOT EXISTS (SELECT FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid AND c.relispartition
                      WHERE i.inhrelid = p AND i.inhparent = parent) LIMIT 1;
    IF stranger IS NOT NULL OR parent IS NULL THEN
        RAISE EXCEPTION '"%" is not a partition%', coalesce(stranger, partitions[1]), coalesce(' of table "' || parent || '"', '')
            USING ERRCODE = 'wrong_object_type';
    END IF;
    IF NOT pg_has_role(current_user, (SELECT c.relowner FROM pg_class AS c WHERE c.oid = parent), 'USAGE') THEN
        RAISE EXCEPTION 'must be owner of table %', parent USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN parent;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_partitions(regclass[]) IS
    'The table whose partitions are given; 42809 unless all are partitions of one table, 42501 unless the caller owns it.';

CREATE FUNCTION teamscale_internal.begin_rewrite("table" regclass, operation text, sources oid[], targets jsonb) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id bigint := teamscale_internal.find_rewrite("table", operation, sources, targets);
BEGIN
    IF id IS NULL THEN
        PERFORM teamscale_internal.require_rewritable("table", operation, sources, targets);
        id := teamscale_internal.record_rewrite("table", operation, sources, targets);
    END IF;
    RETURN id;
END
$$;
COMMENT ON FUNCTION teamscale_internal.begin_rewrite(regclass, text, oid[], jsonb) IS
    'Begins a rewrite as the table''s owner, or finds the same one unfinished.';

CREATE FUNCTION teamscale_internal.targets_like(template regclass, names name[], bounds text[]) RETURNS jsonb
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_agg(jsonb_build_object('schema', n.nspname, 'name', t.name, 'bound', t.bound, 'template', template::oid, 'tablespace', NULL)
                     ORDER BY t.position)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace,
         unnest(names, bounds) WITH ORDINALITY AS t (name, bound, position)
    WHERE c.oid = template
$$;
COMMENT ON FUNCTION teamscale_internal.targets_like(regclass, name[], text[]) IS
    'The targets of a rewrite that all are like one partition, in its schema.';

-- Of a default partition: new ones are as any new partition of the table is, and the rest stays what it was. The last bound is the
-- rest's. schemas and tablespaces: of the new ones; null for the default partition's, and the table's.
CREATE FUNCTION teamscale_internal.drain_targets("table" regclass, partition regclass, schemas name[], names name[], bounds text[], tablespaces name[])
    RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_agg(jsonb_build_object(
        'schema', coalesce(t.schema, n.nspname), 'name', t.name, 'bound', t.bound,
        'template', CASE WHEN t.bound = 'DEFAULT' THEN partition ELSE "table" END::oid, 'tablespace', t.tablespace) ORDER BY t.position)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace,
         unnest(schemas, names, bounds, tablespaces) WITH ORDINALITY AS t (schema, name, bound, tablespace, position)
    WHERE c.oid = partition
$$;
COMMENT ON FUNCTION teamscale_internal.drain_targets(regclass, regclass, name[], name[], text[], name[]) IS
    'The targets of a rewrite of a default partition whose rows go to new partitions.';

CREATE FUNCTION teamscale_internal.begin_drain("table" regclass, schemas name[], names name[], bounds text[], tablespaces name[]) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    partition regclass := (SELECT p.partdefid FROM pg_partitioned_table AS p WHERE p.partrelid = "table" AND p.partdefid <> 0);
    own_name name := (SELECT c.relname FROM pg_class AS c WHERE c.oid = partition);
BEGIN
    IF partition IS NULL THEN
        RAISE EXCEPTION 'table "%" has no default partition', "table" USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN teamscale_internal.begin_rewrite("table", 'drain', ARRAY[partition], teamscale_internal.drain_targets(
        "table", partition, schemas, names || own_name, bounds || 'DEFAULT'::text, tablespaces));
END
$$;
COMMENT ON FUNCTION teamscale_internal.begin_drain(regclass, name[], name[], text[], name[]) IS
    'Begins to move rows of the default partition to new partitions of these names and bounds.';

-- bound: its own, as all read it alike whatever their settings are.
CREATE FUNCTION teamscale_internal.begin_move(partition regclass, bound text, tablespace name) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent regclass := teamscale_internal.require_partitions(ARRAY[partition]);
BEGIN
    RETURN teamscale_internal.begin_rewrite(parent, 'move', ARRAY[partition], (
        SELECT jsonb_build_array(jsonb_build_object('schema', n.nspname, 'name', c.relname, 'bound', bound, 'template', c.oid,
                                                    'tablespace', tablespace))
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = partition));
END
$$;
COMMENT ON FUNCTION teamscale_internal.begin_move(regclass, text, name) IS
    'Begins to move a partition and its indexes to another tablespace by a rewrite.';

-- tablespaces: null for the partition's own.
CREATE FUNCTION teamscale_internal.begin_division(partition regclass, schemas name[], names name[], bounds text[], tablespaces name[])
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent regclass := teamscale_internal.require_partitions(ARRAY[partition]);
BEGIN
    RETURN teamscale_internal.begin_rewrite(parent, 'split', ARRAY[partition], (
        SELECT jsonb_agg(jsonb_build_object('schema', t.schema, 'name', t.name, 'bound', t.bound, 'template', partition::oid,
                                            'tablespace', t.tablespace) ORDER BY t.position)
        FROM unnest(schemas, names, bounds, tablespaces) WITH ORDINALITY AS t (schema, name, bound, tablespace, position)));
END
$$;
COMMENT ON FUNCTION teamscale_internal.begin_division(regclass, name[], name[], text[], name[]) IS
    'Begins to divide a partition among new ones of these names and bounds.';

CREATE FUNCTION teamscale_internal.begin_split(partition regclass, "at" text[], names name[]) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent regclass := teamscale_internal.require_partitions(ARRAY[partition]);
    bounds text[] := teamscale_internal.split_bounds(partition, "at");
    own_name name := (SELECT c.relname FROM pg_class AS c WHERE c.oid = partition);
BEGIN
    names := coalesce(names, ARRAY(
        SELECT CASE WHEN bounds[i] = 'DEFAULT' OR i = cardinality(bounds) AND bounds[1] LIKE 'FOR VALUES IN %' THEN own_name
                    ELSE left(own_name, 60) || '_' || i END
        FROM generate_subscripts(bounds, 1) AS i)::name[]);
    IF cardinality(names) <> cardinality(bounds) OR array_position(names, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'partition "%" is split in %, and % names are given', partition, cardinality(bounds), cardinality(names)
            USING ERRCODE = 'invalid_parameter_value', DETAIL = array_to_string(bounds, E'\n'),
                  HINT = 'Give one name for each of these, in this order.';
    END IF;
    RETURN teamscale_internal.begin_rewrite(parent, 'split', ARRAY[partition],
        CASE WHEN 'DEFAULT' = ANY (bounds) THEN teamscale_internal.drain_targets(parent, partition, NULL, names, bounds, NULL)
             ELSE teamscale_internal.targets_like(partition, names, bounds) END);
END
$$;
COMMENT ON FUNCTION teamscale_internal.begin_split(regclass, text[], name[]) IS 'Begins split_partition(), or finds the same one unfinished.';

CREATE FUNCTION teamscale_internal.begin_merge(partitions regclass[], name name) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent regclass := teamscale_internal.require_partitions(partitions);
    bound text := teamscale_internal.merged_bound(partitions);
BEGIN
    name := coalesce(name, (SELECT c.relname FROM pg_class AS c WHERE c.oid = partitions[1]));
    RETURN teamscale_internal.begin_rewrite(parent, 'merge', partitions,
                                            teamscale_internal.targets_like(partitions[1], ARRAY[name], ARRAY[bound]));
END
$$;
COMMENT ON FUNCTION teamscale_internal.begin_merge(regclass[], name) IS 'Begins merge_partitions(), or finds the same one unfinished.';

CREATE PROCEDURE teamscale.split_partition(partition regclass, "at" text[] DEFAULT NULL, names name[] DEFAULT NULL)
    LANGUAGE plpgsql AS $$
DECLARE
    id bigint := teamscale_internal.begin_split(partition, "at", names);
BEGIN
    CALL teamscale_internal.run_rewrite(id);
END
$$;
COMMENT ON PROCEDURE teamscale.split_partition(regclass, text[], name[]) IS
    'Splits a partition while everything goes on. at: of a range, the bounds between the new partitions; of a list, the values that '
    'get a partition of their own; of a hash nothing: it is halved; of a default partition, the bounds of ranges, or the values, '
    'that leave it. names: of the new partitions, in the order of their bounds. Interrupted, it goes on when it is called again.';

CREATE PROCEDURE teamscale.merge_partitions(partitions regclass[], name name DEFAULT NULL)
    LANGUAGE plpgsql AS $$
DECLARE
    id bigint := teamscale_internal.begin_merge(partitions, name);
BEGIN
    CALL teamscale_internal.run_rewrite(id);
END
$$;
COMMENT ON PROCEDURE teamscale.merge_partitions(regclass[], name) IS
    'Makes one partition of several while everything goes on: adjacent ranges, lists, or the hash partitions that one was split '
    'into. name: of the new partition, by default the first one''s. Interrupted, it goes on when it is called again.';

CREATE FUNCTION teamscale_internal.require_rewrite("table" regclass) RETURNS bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id bigint := (SELECT r.rewrite_id FROM teamscale_internal.rewrite AS r WHERE r.relation = "table");
BEGIN
    IF id IS NULL THEN
        RAISE EXCEPTION 'table "%" has no unfinished rewrite', "table" USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN id;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_rewrite(regclass) IS 'The unfinished rewrite of a table; 55000 when it has none.';

CREATE PROCEDURE teamscale.resume_rewrite("table" regclass)
    LANGUAGE plpgsql AS $$
DECLARE
    id bigint := teamscale_internal.require_rewrite("table");
BEGIN
    CALL teamscale_internal.run_rewrite(id);
END
$$;
COMMENT ON PROCEDURE teamscale.resume_rewrite(regclass) IS 'Carries the unfinished rewrite of a partitioned table to its end.';

CREATE PROCEDURE teamscale_internal.undo_rewrite(id bigint)
    LANGUAGE c AS 'MODULE_PATHNAME', 'teamscale_undo_rewrite';
COMMENT ON PROCEDURE teamscale_internal.undo_rewrite(bigint) IS
    'Stops a rewrite and takes away what it made, in a session of the table''s owner. Commits.';

CREATE PROCEDURE teamscale.cancel_rewrite("table" regclass)
    LANGUAGE plpgsql AS $$
DECLARE
    id bigint := teamscale_internal.require_rewrite("table");
BEGIN
    CALL teamscale_internal.undo_rewrite(id);
END
$$;
COMMENT ON PROCEDURE teamscale.cancel_rewrite(regclass) IS
    'Stops the unfinished rewrite of a partitioned table, and takes away what it made: the partitions are as they were.';

CREATE VIEW teamscale.stat_rewrite AS
    SELECT r.relation::pg_catalog.regclass AS "table", r.operation, r.phase,
           s.sources, t.targets, s.blocks::bigint, (s.blocks - coalesce(s.blocks_left, 0))::bigint AS blocks_done, r.rows_copied, r.swap_attempts,
           r.started_at, r.phase_at, l.pid, r.waits_for AS blocked_by
    FROM teamscale_internal.rewrite AS r
         JOIN pg_catalog.pg_class AS c ON c.oid = r.relation
         CROSS JOIN LATERAL (
             SELECT pg_catalog.array_agg(s.source::pg_catalog.regclass::text ORDER BY s.position) AS sources,
                    pg_catalog.sum(s.blocks) AS blocks,
                    pg_catalog.sum((SELECT pg_catalog.sum(pg_catalog.upper(b) - pg_catalog.lower(b)) FROM pg_catalog.unnest(s.remaining) AS b))
                        AS blocks_left
             FROM teamscale_internal.rewrite_source AS s WHERE s.rewrite_id = r.rewrite_id) AS s
         CROSS JOIN LATERAL (
             SELECT pg_catalog.array_agg(t.name ORDER BY t.position) AS targets
             FROM teamscale_internal.rewrite_target AS t WHERE t.rewrite_id = r.rewrite_id) AS t
         LEFT JOIN pg_catalog.pg_locks AS l
              ON l.locktype = 'advisory' AND l.objsubid = 4 AND l.granted
                 AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
                 AND (l.classid::bigint << 32) + l.objid::bigint = r.rewrite_id
    WHERE pg_catalog.pg_has_role(c.relowner, 'USAGE') OR pg_catalog.pg_has_role('pg_monitor', 'USAGE');
COMMENT ON VIEW teamscale.stat_rewrite IS 'Unfinished rewrites of partitions, of the tables that the current role owns.';
COMMENT ON COLUMN teamscale.stat_rewrite."table" IS 'The partitioned table.';
COMMENT ON COLUMN teamscale.stat_rewrite.operation IS 'split, merge, drain (of a default partition) or move (to another tablespace).';
COMMENT ON COLUMN teamscale.stat_rewrite.phase IS
    'building: the new partitions are made; mirroring: writers begin to write to them too; copying: rows are copied; checking: they '
    'are counted; waiting: for snapshots older than the copy; securing: constraints are checked; swapping: for the lock of the swap.';
COMMENT ON COLUMN teamscale.stat_rewrite.sources IS 'The partitions that go.';
COMMENT ON COLUMN teamscale.stat_rewrite.targets IS 'The partitions that come.';
COMMENT ON COLUMN teamscale.stat_rewrite.blocks IS 'Pages of the partitions that go, when the copy began.';
COMMENT ON COLUMN teamscale.stat_rewrite.blocks_done IS 'How many of them are copied.';
COMMENT ON COLUMN teamscale.stat_rewrite.rows_copied IS 'Rows copied; not counted are those that writers wrote to both.';
COMMENT ON COLUMN teamscale.stat_rewrite.swap_attempts IS 'How often the lock for the swap was not to be had in time.';
COMMENT ON COLUMN teamscale.stat_rewrite.started_at IS 'When it began.';
COMMENT ON COLUMN teamscale.stat_rewrite.phase_at IS 'When its phase began.';
COMMENT ON COLUMN teamscale.stat_rewrite.pid IS 'The process that works on it; null when it was interrupted.';
COMMENT ON COLUMN teamscale.stat_rewrite.blocked_by IS 'The processes that keep it waiting: by their snapshots, or by their locks on its tables.';
GRANT SELECT ON teamscale.stat_rewrite TO PUBLIC;
