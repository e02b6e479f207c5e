-- Statements of our own that make and change sharded tables. What is defined is the caller's: it runs as the acting role.
-- What is acted is ours: the catalog and internal functions, as the extension's owner on behalf of the acting role.

CREATE FUNCTION teamscale_internal.define_here(statement text) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_define_here';
COMMENT ON FUNCTION teamscale_internal.define_here(text) IS
    'Runs a statement, which may change sharded tables, on this node as the acting role.';
REVOKE ALL ON FUNCTION teamscale_internal.define_here(text) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.define_here_as(role name, statement text) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_define_here_as';
COMMENT ON FUNCTION teamscale_internal.define_here_as(name, text) IS
    'The same as another role, which the acting role must be a member of.';
REVOKE ALL ON FUNCTION teamscale_internal.define_here_as(name, text) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.define_on_nodes(nodes integer[], statements text[]) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_define_on_nodes';
COMMENT ON FUNCTION teamscale_internal.define_on_nodes(integer[], text[]) IS
    'Runs statements, which may change sharded tables, in order on the nodes given, as the acting role, within this transaction.';
REVOKE ALL ON FUNCTION teamscale_internal.define_on_nodes(integer[], text[]) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.act_on_nodes(nodes integer[], statements text[]) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_act_on_nodes';
COMMENT ON FUNCTION teamscale_internal.act_on_nodes(integer[], text[]) IS
    'Runs our own statements in order on the nodes given, as the extension''s owner on behalf of the acting role, within this transaction.';
REVOKE ALL ON FUNCTION teamscale_internal.act_on_nodes(integer[], text[]) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.ask_nodes(nodes integer[], question text) RETURNS text[]
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_ask_nodes';
COMMENT ON FUNCTION teamscale_internal.ask_nodes(integer[], text) IS
    'Runs our own query on the nodes given; of each the first column of the first row, in no order.';
REVOKE ALL ON FUNCTION teamscale_internal.ask_nodes(integer[], text) FROM PUBLIC;

-- Open to all, as every user's connections call it; it refuses whatever a router did not send itself.
CREATE FUNCTION teamscale_internal.act_for_router(statement text) RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_act_for_router';
COMMENT ON FUNCTION teamscale_internal.act_for_router(text) IS
    'What act_on_nodes() and ask_nodes() call on other nodes.';

CREATE FUNCTION teamscale_internal.read_as_actor(query text, argument text[]) RETURNS text[]
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_read_as_actor';
COMMENT ON FUNCTION teamscale_internal.read_as_actor(text, text[]) IS
    'The one value that a query gives, run as the acting role with the argument as $1: it may call what users wrote.';
REVOKE ALL ON FUNCTION teamscale_internal.read_as_actor(text, text[]) FROM PUBLIC;
