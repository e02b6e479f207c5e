-- The views that read a table: they are made again after it, as they were.

-- The views that read a table, directly or not, those that others read first.
CREATE FUNCTION teamscale_internal.dependent_views("table" regclass) RETURNS regclass[]
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE reader (view, depth) AS (
        SELECT r.ev_class, 1 FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid
        WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = "table"
          AND r.ev_class <> "table"
        UNION
        SELECT r.ev_class, reader.depth + 1
        FROM reader JOIN pg_depend AS d ON d.refobjid = reader.view AND d.refclassid = 'pg_class'::regclass
             JOIN pg_rewrite AS r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
        WHERE r.ev_class <> reader.view)
    SELECT coalesce(array_agg(view::regclass ORDER BY depth, view), '{}')
    FROM (SELECT view, max(depth) AS depth FROM reader GROUP BY view) AS v
$$;
COMMENT ON FUNCTION teamscale_internal.dependent_views(regclass) IS
    'The views and materialized views that read a table, directly or through others, in the order of their making.';

CREATE FUNCTION teamscale_internal.rule_statements(view regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT statement
    FROM pg_rewrite AS r
         CROSS JOIN LATERAL (VALUES
             (1, pg_get_ruledef(r.oid)),
             (2, CASE WHEN r.ev_enabled <> 'O' THEN format('ALTER TABLE %s %s RULE %I', view,
                 CASE r.ev_enabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE REPLICA' END,
                 r.rulename) END)) AS p (step, statement)
    WHERE r.ev_class = view AND r.rulename <> '_RETURN' AND statement IS NOT NULL
    ORDER BY r.rulename, step
$$;
COMMENT ON FUNCTION teamscale_internal.rule_statements(regclass) IS 'CREATE RULE for the rules of a view that are not its query.';

CREATE FUNCTION teamscale_internal.view_statements(view regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('CREATE VIEW %s%s AS %s', view, coalesce(' WITH (' || array_to_string(c.reloptions, ', ') || ')', ''),
                  pg_get_viewdef(view))
    FROM pg_class AS c WHERE c.oid = view
    UNION ALL
    SELECT format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', view, a.attname, pg_get_expr(d.adbin, d.adrelid))
    FROM pg_attrdef AS d JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE d.adrelid = view
    UNION ALL SELECT * FROM teamscale_internal.trigger_statements(view)
    UNION ALL SELECT * FROM teamscale_internal.rule_statements(view)
    UNION ALL SELECT teamscale_internal.owner_statement(view)
    UNION ALL SELECT * FROM teamscale_internal.comment_statements(view)
$$;
COMMENT ON FUNCTION teamscale_internal.view_statements(regclass) IS
    'What makes a view again, with its rules, triggers, owner and comments.';

CREATE FUNCTION teamscale_internal.dependent_view_statements("table" regclass) RETURNS text[]
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY(SELECT statement
                 FROM unnest(teamscale_internal.dependent_views("table")) WITH ORDINALITY AS v (view, place)
                      CROSS JOIN LATERAL teamscale_internal.view_statements(v.view) WITH ORDINALITY AS s (statement, step)
                 ORDER BY v.place, s.step)
$$;
COMMENT ON FUNCTION teamscale_internal.dependent_view_statements(regclass) IS 'What makes all views again that read a table.';

CREATE FUNCTION teamscale_internal.drop_views("table" regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    view regclass;
BEGIN
    FOR view IN SELECT v FROM unnest(teamscale_internal.dependent_views("table")) WITH ORDINALITY AS u (v, n) ORDER BY n DESC LOOP
        PERFORM teamscale_internal.define_here(format('DROP VIEW %s', view));
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.drop_views(regclass) IS 'Drops the views that read a table, those that read others first.';
REVOKE ALL ON FUNCTION teamscale_internal.drop_views(regclass) FROM PUBLIC;

-- Of the table, its sequences and its views, once all of them are made.
CREATE FUNCTION teamscale_internal.all_privilege_calls("table" regclass) RETURNS text[]
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY(SELECT teamscale_internal.privilege_calls("table")
                 UNION ALL
                 SELECT teamscale_internal.privilege_calls(sequence) FROM teamscale_internal.owned_sequences("table")
                 UNION ALL
                 SELECT teamscale_internal.privilege_calls(v) FROM unnest(teamscale_internal.dependent_views("table")) AS v)
$$;
COMMENT ON FUNCTION teamscale_internal.all_privilege_calls(regclass) IS
    'What gives a table, its sequences and the views that read it their privileges on another node.';
