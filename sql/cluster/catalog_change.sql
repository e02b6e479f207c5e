-- Changing the catalog, and running our own SQL, on all active nodes in one transaction.

CREATE FUNCTION teamscale_internal.begin_catalog_change(without integer[] DEFAULT '{}') RETURNS bigint
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_begin_catalog_change';
COMMENT ON FUNCTION teamscale_internal.begin_catalog_change(integer[]) IS
    'Raises the epoch on every active node but those given, which locks the catalog of the cluster until the transaction '
    'ends; gives the new epoch. What was read of the catalog before it is to be read again.';
REVOKE ALL ON FUNCTION teamscale_internal.begin_catalog_change(integer[]) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.raise_epoch() RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_raise_epoch';
COMMENT ON FUNCTION teamscale_internal.raise_epoch() IS
    'What begin_catalog_change() calls on the other nodes; 42501 on a connection that is no node''s.';

CREATE FUNCTION teamscale_internal.active_nodes() RETURNS integer[]
    LANGUAGE c STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_active_nodes';
COMMENT ON FUNCTION teamscale_internal.active_nodes() IS 'The ids of all active nodes, this one included.';

CREATE FUNCTION teamscale_internal.execute_on_nodes(nodes integer[], sql text) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_execute_on_nodes';
COMMENT ON FUNCTION teamscale_internal.execute_on_nodes(integer[], text) IS
    'Runs the same SQL on the nodes given, within the current transaction, as the current user.';
REVOKE ALL ON FUNCTION teamscale_internal.execute_on_nodes(integer[], text) FROM PUBLIC;
