-- Which types can be sharding keys.

CREATE FUNCTION teamscale_internal.parts_of_type(type oid) RETURNS SETOF oid
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.typbasetype FROM pg_type AS t WHERE t.oid = type AND t.typtype = 'd'
    UNION ALL SELECT t.typelem FROM pg_type AS t WHERE t.oid = type AND t.typelem <> 0 AND t.typsubscript = 'array_subscript_handler'::regproc
    UNION ALL SELECT r.rngsubtype FROM pg_range AS r WHERE r.rngtypid = type OR r.rngmultitypid = type
    UNION ALL SELECT a.atttypid FROM pg_type AS t JOIN pg_attribute AS a ON a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
              WHERE t.oid = type AND t.typtype = 'c'
$$;
COMMENT ON FUNCTION teamscale_internal.parts_of_type(oid) IS
    'The types that values of a type are composed of: a domain''s base, an array''s element, a range''s subtype, a composite''s columns.';

-- Whether a value's hash is the same in every database: it is not where it hashes an OID.
CREATE FUNCTION teamscale_internal.hashes_alike(type oid) RETURNS boolean
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t pg_type;
    part oid;
BEGIN
    SELECT * INTO t FROM pg_type WHERE oid = type;
    IF t.typtype = 'e' OR type::regtype::text ~ '^reg' AND t.typnamespace = 'pg_catalog'::regnamespace
       OR type IN ('oid'::regtype, 'oidvector'::regtype, 'aclitem'::regtype) THEN
        RETURN false;
    END IF;
    FOR part IN SELECT teamscale_internal.parts_of_type(type) LOOP
        IF NOT teamscale_internal.hashes_alike(part) THEN RETURN false; END IF;
    END LOOP;
    RETURN true;
END
$$;
COMMENT ON FUNCTION teamscale_internal.hashes_alike(oid) IS
    'Whether the extended hash of the type''s values depends on the value alone (not on OIDs: enum, oid, reg* and what contains them).';

-- As PostgreSQL finds it: the type's own or one that it is coercible to without a change, of a domain its base type's.
CREATE FUNCTION teamscale_internal.has_default_opclass(type oid, method name, support smallint) RETURNS boolean
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE base (type) AS (
        SELECT $1 UNION SELECT t.typbasetype FROM base JOIN pg_type AS t ON t.oid = base.type WHERE t.typtype = 'd')
    SELECT EXISTS (
        SELECT FROM base JOIN pg_type AS t ON t.oid = base.type
             JOIN pg_opclass AS c ON c.opcmethod = (SELECT oid FROM pg_am WHERE amname = method) AND c.opcdefault
                  AND (c.opcintype = t.oid
                       OR EXISTS (SELECT FROM pg_cast WHERE castsource = t.oid AND casttarget = c.opcintype AND castmethod = 'b'
                                                            AND castcontext = 'i')
                       OR (c.opcintype = 'record'::regtype AND t.typtype = 'c')
                       OR (c.opcintype = 'anyarray'::regtype AND t.typelem <> 0 AND t.typsubscript = 'array_subscript_handler'::regproc)
                       OR (c.opcintype = 'anyrange'::regtype AND t.typtype = 'r')
                       OR (c.opcintype = 'anymultirange'::regtype AND t.typtype = 'm')
                       OR (c.opcintype = 'anyenum'::regtype AND t.typtype = 'e'))
             JOIN pg_amproc AS p ON p.amprocfamily = c.opcfamily AND p.amprocnum = support)
$$;
COMMENT ON FUNCTION teamscale_internal.has_default_opclass(oid, name, smallint) IS
    'Whether a type has a default operator class of an index method, with a support function of this number.';

-- Of what is composed, each part too: the parts' functions are looked up when a value is hashed.
CREATE FUNCTION teamscale_internal.has_extended_hash(type oid) RETURNS boolean
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part oid;
BEGIN
    IF NOT teamscale_internal.has_default_opclass(type, 'hash', 2::smallint) THEN RETURN false; END IF;
    FOR part IN SELECT teamscale_internal.parts_of_type(type) LOOP
        IF NOT teamscale_internal.has_extended_hash(part) THEN RETURN false; END IF;
    END LOOP;
    RETURN true;
END
$$;
COMMENT ON FUNCTION teamscale_internal.has_extended_hash(oid) IS
    'Whether the type and its parts have the extended hash function that hash partitioning needs.';

CREATE FUNCTION teamscale_internal.has_order(type oid) RETURNS boolean
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT teamscale_internal.has_default_opclass(type, 'btree', 1::smallint)
$$;
COMMENT ON FUNCTION teamscale_internal.has_order(oid) IS
    'Whether the type has a default btree operator class, which list partitioning needs.';

CREATE FUNCTION teamscale_internal.has_domain(type oid) RETURNS boolean
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part oid;
BEGIN
    IF (SELECT typtype FROM pg_type WHERE oid = type) = 'd' THEN RETURN true; END IF;
    FOR part IN SELECT teamscale_internal.parts_of_type(type) LOOP
        IF teamscale_internal.has_domain(part) THEN RETURN true; END IF;
    END LOOP;
    RETURN false;
END
$$;
COMMENT ON FUNCTION teamscale_internal.has_domain(oid) IS 'Whether a type is a domain or composed of one.';
