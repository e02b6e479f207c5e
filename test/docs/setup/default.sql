-- Two nodes, berlin (where the page is typed) and lisbon.
SET client_min_messages = warning;
CREATE EXTENSION teamscale;
SELECT teamscale.create_cluster('berlin', 'host=db1 port=5432 dbname=app', 'eu-central');
SELECT teamscale.add_node('lisbon', 'host=db2 port=5432 dbname=app', 'eu-west');
RESET client_min_messages;
