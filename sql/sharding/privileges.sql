-- Owners, privileges and comments of objects of any kind, as they were: also what was granted by others than the owner.

-- What an object's privileges are now. kind is as in GRANT ... ON kind object.
CREATE FUNCTION teamscale_internal.current_privileges(kind text, object text, "column" name) RETURNS aclitem[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN "column" IS NOT NULL THEN
            (SELECT attacl FROM pg_attribute WHERE attrelid = object::regclass AND attname = "column")
        WHEN kind IN ('TABLE', 'SEQUENCE') THEN (SELECT relacl FROM pg_class WHERE oid = object::regclass)
        WHEN kind = 'ROUTINE' THEN (SELECT proacl FROM pg_proc WHERE oid = object::regprocedure)
        WHEN kind = 'TYPE' THEN (SELECT typacl FROM pg_type WHERE oid = object::regtype)
        WHEN kind = 'SCHEMA' THEN (SELECT nspacl FROM pg_namespace WHERE oid = object::regnamespace) END
$$;
COMMENT ON FUNCTION teamscale_internal.current_privileges(text, text, name) IS
    'The privileges of a table, sequence, routine, type or schema, or of a column; null when they are the default.';

-- Each grant after those that its grantor needs for it.
CREATE FUNCTION teamscale_internal.grants_in_order(privileges aclitem[], owner oid)
    RETURNS TABLE (grantor oid, grantee oid, privilege text, grantable boolean)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE item AS (
        SELECT * FROM aclexplode(privileges)
    ), holder (role, privilege, step) AS (
        SELECT DISTINCT owner, privilege_type, 0 FROM item
        UNION
        SELECT i.grantee, i.privilege_type, h.step + 1
        FROM holder AS h JOIN item AS i ON i.grantor = h.role AND i.privilege_type = h.privilege
        WHERE i.is_grantable AND i.grantee <> owner AND h.step < 100)
    SELECT i.grantor, i.grantee, i.privilege_type, i.is_grantable
    FROM item AS i LEFT JOIN (SELECT role, privilege, min(step) AS step FROM holder GROUP BY role, privilege) AS h
                   ON h.role = i.grantor AND h.privilege = i.privilege_type
    ORDER BY h.step, i.grantor, i.grantee, i.privilege_type
$$;
COMMENT ON FUNCTION teamscale_internal.grants_in_order(aclitem[], oid) IS
    'What an access list grants, in an order in which each grantor may grant already.';

CREATE FUNCTION teamscale_internal.set_privileges(kind text, object text, "column" name, owner name, wanted aclitem[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    present aclitem[] := teamscale_internal.current_privileges(kind, object, "column");
    preset aclitem[] := acldefault(CASE WHEN "column" IS NOT NULL THEN 'c' WHEN kind = 'TABLE' THEN 'r' WHEN kind = 'SEQUENCE' THEN 's'
                                        WHEN kind = 'ROUTINE' THEN 'f' WHEN kind = 'TYPE' THEN 'T' ELSE 'n' END::"char",
                                   owner::regrole);
    place text := format('%s ON %s %s', CASE WHEN "column" IS NOT NULL THEN format('(%I)', "column") ELSE '' END, kind, object);
    item record;
    statement text;
BEGIN
    IF wanted IS NULL AND present IS NULL THEN RETURN; END IF;
    -- Default privileges of the role that made it may have granted something, too.
    FOR item IN SELECT DISTINCT grantee FROM aclexplode(coalesce(present, preset)) LOOP
        PERFORM teamscale_internal.define_here(format('REVOKE ALL %s FROM %s CASCADE', place,
            CASE WHEN item.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(item.grantee)) END));
    END LOOP;
    FOR item IN SELECT * FROM teamscale_internal.grants_in_order(coalesce(wanted, preset), owner::regrole) LOOP
        statement := format('GRANT %s %s TO %s%s', item.privilege, place,
            CASE WHEN item.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(item.grantee)) END,
            CASE WHEN item.grantable THEN ' WITH GRANT OPTION' ELSE '' END);
        IF item.grantor = owner::regrole THEN
            PERFORM teamscale_internal.define_here(statement);
        ELSE
            PERFORM teamscale_internal.define_here_as(pg_get_userbyid(item.grantor), statement);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.set_privileges(text, text, name, name, aclitem[]) IS
    'Gives an object (or a column of one) of that owner exactly these privileges, each granted by whom it was; null: the default ones.';
REVOKE ALL ON FUNCTION teamscale_internal.set_privileges(text, text, name, name, aclitem[]) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.privilege_call(kind text, object text, "column" name, owner oid, privileges aclitem[]) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('SELECT teamscale_internal.set_privileges(%L, %L, %L, %L, %L)', kind, object, "column", pg_get_userbyid(owner), privileges)
$$;
COMMENT ON FUNCTION teamscale_internal.privilege_call(text, text, name, oid, aclitem[]) IS
    'The call of set_privileges() that gives an object on another node, or made anew, these privileges.';

-- Of a table, a view or a sequence, and of its columns.
CREATE FUNCTION teamscale_internal.privilege_calls(relation regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT teamscale_internal.privilege_call(CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, relation::text, NULL, relowner, relacl)
    FROM pg_class WHERE oid = relation
    UNION ALL
    SELECT teamscale_internal.privilege_call('TABLE', relation::text, attname, relowner, attacl)
    FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
    WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND attacl IS NOT NULL
$$;
COMMENT ON FUNCTION teamscale_internal.privilege_calls(regclass) IS 'What gives a relation and its columns their privileges on another node.';

CREATE FUNCTION teamscale_internal.comment_statement(kind text, object text, class regclass, id oid) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('COMMENT ON %s %s IS %L', kind, object, description)
    FROM pg_description WHERE objoid = id AND classoid = class AND objsubid = 0
$$;
COMMENT ON FUNCTION teamscale_internal.comment_statement(text, text, regclass, oid) IS 'COMMENT ON for an object that has one.';
