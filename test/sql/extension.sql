-- The extension is created, does nothing to a database that is no node, and goes without a trace.
CREATE EXTENSION teamscale;
SELECT extname, extrelocatable FROM pg_extension WHERE extname = 'teamscale';
CREATE TABLE plain (team_id bigint PRIMARY KEY, name text);
INSERT INTO plain VALUES (1, 'one'), (2, 'two');
SELECT * FROM plain ORDER BY team_id;
SELECT count(*) FROM teamscale.node;
DROP TABLE plain;
DROP EXTENSION teamscale;
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'teamscale%';
-- And comes again.
CREATE EXTENSION teamscale;
DROP EXTENSION teamscale;
