-- What a table rests on: types, functions, schemas, roles and so on, each after what it needs itself.

-- Whose part a default, constraint, trigger and so on is.
CREATE FUNCTION teamscale_internal.relation_of_part(class oid, object oid) RETURNS oid
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE class
        WHEN 'pg_attrdef'::regclass THEN (SELECT adrelid FROM pg_attrdef WHERE oid = object)
        WHEN 'pg_constraint'::regclass THEN (SELECT conrelid FROM pg_constraint WHERE oid = object)
        WHEN 'pg_trigger'::regclass THEN (SELECT tgrelid FROM pg_trigger WHERE oid = object)
        WHEN 'pg_policy'::regclass THEN (SELECT polrelid FROM pg_policy WHERE oid = object)
        WHEN 'pg_statistic_ext'::regclass THEN (SELECT stxrelid FROM pg_statistic_ext WHERE oid = object)
        WHEN 'pg_rewrite'::regclass THEN (SELECT ev_class FROM pg_rewrite WHERE oid = object)
        WHEN 'pg_publication_rel'::regclass THEN (SELECT prrelid FROM pg_publication_rel WHERE oid = object)
        WHEN 'pg_type'::regclass THEN (SELECT nullif(t.typrelid, 0) FROM pg_type AS t WHERE t.oid = object)
        WHEN 'pg_class'::regclass THEN
            coalesce((SELECT indrelid FROM pg_index WHERE indexrelid = object),
                     (SELECT d.refobjid FROM pg_depend AS d
                      WHERE d.classid = class AND d.objid = object AND d.refclassid = class AND d.deptype IN ('a', 'i') LIMIT 1),
                     object) END
$$;
COMMENT ON FUNCTION teamscale_internal.relation_of_part(oid, oid) IS
    'The relation that an object is a part of: a sequence of its column''s table, a relation of itself; null for all other objects.';

-- What an object is a part of by its making: a row type of its table, an array of its element, a range's functions of the
-- range, a key of its table, a member of its extension.
CREATE FUNCTION teamscale_internal.whole_of(INOUT class oid, INOUT object oid)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    whole record;
    relation oid;
BEGIN
    LOOP
        SELECT d.refclassid, d.refobjid INTO whole FROM pg_depend AS d
        WHERE d.classid = class AND d.objid = object AND d.deptype IN ('i', 'e')
          AND (d.refclassid, d.refobjid) <> (class, object)  -- a partitioned table and its key's column
        ORDER BY d.deptype LIMIT 1;
        EXIT WHEN NOT FOUND;
        class := whole.refclassid;
        object := whole.refobjid;
    END LOOP;
    -- A foreign key refers to the other table's key.
    IF class = 'pg_constraint'::regclass OR class = 'pg_class'::regclass AND EXISTS (SELECT FROM pg_index WHERE indexrelid = object) THEN
        relation := teamscale_internal.relation_of_part(class, object);
        IF relation <> 0 THEN
            class := 'pg_class'::regclass;
            object := relation;
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.whole_of(oid, oid) IS
    'The object that another one was made with, the extension that it belongs to, or the object itself.';

-- The parts of relations and types that refer to other objects.
CREATE FUNCTION teamscale_internal.parts_of(class oid, object oid) RETURNS TABLE (part_class oid, part oid)
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT class, object
    UNION ALL
    SELECT d.classid, d.objid FROM pg_depend AS d
    WHERE d.refclassid = class AND d.refobjid = object
      AND (class = 'pg_type'::regclass AND d.classid = 'pg_constraint'::regclass
           OR class = 'pg_class'::regclass
              AND d.classid IN ('pg_attrdef'::regclass, 'pg_constraint'::regclass, 'pg_trigger'::regclass, 'pg_policy'::regclass,
                                'pg_statistic_ext'::regclass, 'pg_rewrite'::regclass)
              AND teamscale_internal.relation_of_part(d.classid, d.objid) = object
              -- The copies of a foreign key for each leaf that it references are no parts of their own.
              AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE d.classid = 'pg_constraint'::regclass AND k.oid = d.objid AND k.conparentid <> 0))
    UNION ALL
    SELECT 'pg_class'::regclass, i.indexrelid FROM pg_index AS i WHERE class = 'pg_class'::regclass AND i.indrelid = object
    UNION ALL
    SELECT 'pg_class'::regclass, t.typrelid FROM pg_type AS t WHERE class = 'pg_type'::regclass AND t.oid = object AND t.typtype = 'c'
$$;
COMMENT ON FUNCTION teamscale_internal.parts_of(oid, oid) IS
    'An object and its parts: defaults, constraints, triggers, policies, statistics, rules and indexes of a relation, what a type has.';

-- Direct references, of the whole to wholes. Of relations only the table and its views, the roots, are looked into; what
-- is a part of them needs no other making.
CREATE FUNCTION teamscale_internal.references_of(class oid, object oid, roots oid[]) RETURNS TABLE (used_class oid, used oid)
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT w.class, w.object
    FROM teamscale_internal.parts_of(class, object) AS p
         JOIN pg_depend AS d ON d.classid = p.part_class AND d.objid = p.part
         CROSS JOIN LATERAL teamscale_internal.whole_of(d.refclassid, d.refobjid) AS w
    WHERE references_of.class <> 'pg_extension'::regclass
      AND (references_of.class <> 'pg_class'::regclass OR references_of.object = ANY (roots))
      AND d.refobjid >= 16384 AND (w.class, w.object) <> (references_of.class, references_of.object)
      AND coalesce(teamscale_internal.relation_of_part(w.class, w.object), 0) <> ALL (roots)
$$;
COMMENT ON FUNCTION teamscale_internal.references_of(oid, oid, oid[]) IS 'The objects that an object and its parts refer to.';

CREATE FUNCTION teamscale_internal.used_objects("table" regclass)
    RETURNS TABLE (class regclass, object oid, place integer)
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    roots oid[] := "table"::oid || teamscale_internal.dependent_views("table")::oid[];
    pending text[];
    ready text[];
    froms text[];
    tos text[];
BEGIN
    WITH RECURSIVE edge (from_class, from_object, to_class, to_object) AS (
        SELECT 'pg_class'::regclass::oid, r, u.used_class, u.used
        FROM unnest(roots) AS r CROSS JOIN LATERAL teamscale_internal.references_of('pg_class'::regclass, r, roots) AS u
        UNION
        SELECT e.to_class, e.to_object, u.used_class, u.used
        FROM edge AS e CROSS JOIN LATERAL teamscale_internal.references_of(e.to_class, e.to_object, roots) AS u)
    SELECT array_agg(format('%s.%s', from_class, from_object)), array_agg(format('%s.%s', to_class, to_object)) INTO froms, tos FROM edge;
    pending := ARRAY(SELECT DISTINCT unnest(tos));
    place := 0;
    WHILE cardinality(pending) > 0 LOOP
        ready := ARRAY(SELECT p FROM unnest(pending) AS p
                       WHERE NOT EXISTS (SELECT FROM unnest(froms, tos) AS e (f, t) WHERE f = p AND t <> p AND t = ANY (pending))
                       ORDER BY p);
        -- A circle: in the order of their making.
        IF cardinality(ready) = 0 THEN
            ready := ARRAY(SELECT p FROM unnest(pending) AS p ORDER BY split_part(p, '.', 2)::bigint LIMIT 1);
        END IF;
        FOR class, object IN SELECT split_part(r, '.', 1)::oid, split_part(r, '.', 2)::oid FROM unnest(ready) AS r LOOP
            place := place + 1;
            RETURN NEXT;
        END LOOP;
        pending := ARRAY(SELECT unnest(pending) EXCEPT SELECT unnest(ready));
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.used_objects(regclass) IS
    'The objects that a table and the views on it rest on, in the order of their making; extensions for what belongs to one.';
