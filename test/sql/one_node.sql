-- A cluster of one node: what its users see. (With more nodes: test/cluster.)
\set SHOW_CONTEXT never
CREATE EXTENSION teamscale;
CREATE TABLE early (id integer PRIMARY KEY);
SELECT teamscale.distribute_table('early', 'id');
SELECT teamscale.create_cluster('only', 'host=127.0.0.1 user=postgres dbname=x');
SELECT teamscale.create_cluster('only', 'host=127.0.0.1');
SELECT teamscale.create_cluster('', 'dbname=x');
SELECT teamscale.create_cluster('only', format('host=127.0.0.1 port=%s dbname=%s', current_setting('port'), current_database()), 'here');
SELECT teamscale.create_cluster('again', format('host=127.0.0.1 port=%s dbname=%s', current_setting('port'), current_database()));
SELECT name, region, state, is_local, buckets FROM teamscale.node;

CREATE TABLE team (team_id bigint PRIMARY KEY, name text NOT NULL);
CREATE TABLE assignment (
    team_id bigint, server_id bigint, role text DEFAULT 'web',
    PRIMARY KEY (team_id, server_id));
INSERT INTO team SELECT i, 'team ' || i FROM generate_series(1, 20) AS i;
SELECT teamscale.distribute_table('team', 'name');
SELECT teamscale.distribute_table('team', 'nothing');
SELECT teamscale.distribute_table('team', 'team_id', buckets => 3);
SELECT teamscale.distribute_table('team', 'team_id', buckets => 4);
SELECT teamscale.distribute_table('team', 'team_id', buckets => 4);
SELECT teamscale.distribute_table('assignment', 'team_id', colocate_with => 'team');
SELECT teamscale.run_on_all_nodes('ALTER TABLE assignment ADD FOREIGN KEY (team_id) REFERENCES team');
SELECT * FROM teamscale.sharded_table ORDER BY 1;
SELECT name, buckets FROM teamscale.node;

INSERT INTO assignment VALUES (7, 1, DEFAULT), (7, 2, 'db'), (8, 1, 'web'), (9, 1, 'web');
INSERT INTO assignment VALUES (77, 1);
SELECT t.name, a.role FROM team AS t JOIN assignment AS a USING (team_id) WHERE t.team_id = 7 ORDER BY 2;
UPDATE assignment SET role = 'queue' WHERE team_id = 7 AND server_id = 1 RETURNING *;
DELETE FROM assignment WHERE team_id = 9;
PREPARE roles(bigint) AS SELECT server_id, role FROM assignment WHERE team_id = $1 ORDER BY 1;
EXECUTE roles(7);
EXECUTE roles(8);
EXPLAIN (COSTS OFF) SELECT * FROM assignment WHERE team_id = 7 AND server_id = 1;

-- Never a part of an answer.
SELECT count(*) FROM team;
UPDATE assignment SET role = 'gone';
SELECT * FROM team AS t, assignment AS a WHERE t.team_id = 7;
CREATE TABLE copied AS SELECT * FROM team;
COPY team TO STDOUT;
ALTER TABLE team ADD COLUMN size integer;
DROP TABLE teamscale_bucket.assignment_2_1;
DROP TABLE teamscale_bucket.team_1_1 CASCADE;
DROP SCHEMA teamscale_bucket CASCADE;
DROP EXTENSION teamscale CASCADE;

SELECT teamscale.bucket_of('team', 7) = teamscale.bucket_of('assignment', 7) AS colocated, teamscale.node_of('team', 7);
SELECT node, dbname FROM teamscale.route('team', 7);
SELECT teamscale.run_on_node('nobody', 'SELECT 1');
SELECT * FROM teamscale.run_on_key('team', 7, 'SELECT name FROM team WHERE team_id = 7');

SELECT teamscale.remove_node('only');
SELECT teamscale.undistribute_table('assignment');
SELECT teamscale.run_on_all_nodes('ALTER TABLE assignment DROP CONSTRAINT assignment_team_id_fkey');
SELECT teamscale.undistribute_table('assignment');
SELECT teamscale.undistribute_table('team');
SELECT count(*) FROM team;
SELECT * FROM teamscale.sharded_table;
SELECT teamscale.remove_node('only');
DROP TABLE assignment, team, early;
DROP EXTENSION teamscale;
