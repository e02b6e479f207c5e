CREATE TABLE assignment (team_id bigint, server_id bigint, role text, PRIMARY KEY (team_id, server_id));
SELECT teamscale.distribute_table('assignment', 'team_id');
INSERT INTO assignment SELECT team, server, 'web' FROM generate_series(40, 45) AS team, generate_series(1, 3) AS server;
