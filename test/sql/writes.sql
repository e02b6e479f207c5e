-- Writes and utility commands on a sharded table of a cluster of one node are those of a plain table, or refused.
CREATE EXTENSION teamscale;
SELECT teamscale.create_cluster('a', format('host=%s port=%s dbname=%s',
       coalesce(host(inet_server_addr()), split_part(current_setting('unix_socket_directories'), ',', 1)),
       current_setting('port'), current_database()));
CREATE TABLE assignment (team_id bigint NOT NULL, id integer, name text DEFAULT 'unnamed' CHECK (name <> ''),
                         twice integer GENERATED ALWAYS AS (id * 2) STORED, PRIMARY KEY (team_id, id));
SELECT teamscale.distribute_table('assignment', 'team_id', buckets => 4);

-- COPY
COPY assignment (team_id, id, name) FROM STDIN;
1	1	one
2	2	two
3	3	\N
\.
COPY assignment (id, team_id) FROM STDIN (FORMAT csv, HEADER) WHERE team_id <> 5;
id,team_id
4,4
5,5
6,6
\.
COPY assignment (team_id, id, name) FROM STDIN;
7	7	seven
8	8	
9	9	nine
\.
COPY assignment (team_id, id) FROM STDIN;
7	7
1	1
\.
SELECT name FROM assignment WHERE team_id = 7;
SELECT * FROM assignment WHERE team_id = 4;

-- INSERT
INSERT INTO assignment (team_id, id) VALUES (10, 1), (11, 1), (12, 1) RETURNING *;
INSERT INTO assignment (team_id, id, name) SELECT i, 1, 'again' FROM generate_series(10, 13) AS i
ON CONFLICT (team_id, id) DO UPDATE SET name = excluded.name || ' ' || assignment.name RETURNING team_id, name;
INSERT INTO assignment (team_id, id) VALUES (14, 1), (15, 1), (14, 1) ON CONFLICT (team_id, id) DO UPDATE SET name = 'x';
INSERT INTO assignment (team_id, id) SELECT team_id + 20, id FROM assignment WHERE team_id = 10;
INSERT INTO assignment (team_id, id) SELECT team_id + 20, id FROM assignment;
EXPLAIN (COSTS OFF) INSERT INTO assignment (team_id, id) SELECT i, i FROM generate_series(1, 3) AS i;

-- Where a key is
SELECT teamscale.node_of('assignment', 7), teamscale.bucket_of('assignment', 7) = teamscale.bucket_of('assignment', '7');
SELECT node, epoch > 0 AS has_epoch FROM teamscale.route('assignment', 7);
SELECT * FROM teamscale.run_on_key('assignment', 7, 'SELECT count(*) FROM assignment');
SELECT * FROM teamscale.run_on_all_nodes('UPDATE assignment SET name = ''seven'' WHERE team_id = 1');

-- Definitions
ALTER TABLE assignment ADD COLUMN size integer;
CREATE INDEX ON assignment (name);
CREATE RULE r AS ON INSERT TO assignment DO NOTHING;
CREATE TABLE other (team_id bigint, id integer, FOREIGN KEY (team_id, id) REFERENCES assignment);
CREATE TABLE child () INHERITS (assignment);
GRANT SELECT ON assignment TO PUBLIC;
DROP EXTENSION teamscale CASCADE;
SELECT * FROM teamscale.run_on_all_nodes('ALTER TABLE assignment ADD COLUMN size integer DEFAULT 5');
SELECT * FROM teamscale.run_on_all_nodes('DROP TABLE assignment');
SELECT size FROM assignment WHERE team_id = 1;

-- Maintenance
ANALYZE assignment;
VACUUM (ANALYZE) assignment;
REINDEX TABLE assignment;
BEGIN;
LOCK TABLE assignment IN SHARE MODE;
COMMIT;
COPY assignment TO STDOUT;
TRUNCATE assignment;
SELECT count(*) FROM assignment WHERE team_id = 1;
DROP TABLE assignment;
SELECT count(*) FROM teamscale_internal.bucket;
SELECT teamscale.remove_node('a');
DROP EXTENSION teamscale;
