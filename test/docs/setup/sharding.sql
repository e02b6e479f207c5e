-- A role that may shard the tables that it owns.
CREATE ROLE app LOGIN;
GRANT CREATE ON SCHEMA public TO app;
