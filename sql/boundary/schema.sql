\echo Use "CREATE EXTENSION teamscale" to load this file. \quit

CREATE SCHEMA teamscale;
COMMENT ON SCHEMA teamscale IS 'What users call: functions, procedures and views of teamscale.';
GRANT USAGE ON SCHEMA teamscale TO PUBLIC;

CREATE SCHEMA teamscale_internal;
COMMENT ON SCHEMA teamscale_internal IS 'Catalog tables and functions that teamscale calls itself.';
-- Its tables are closed to all; of its functions those that every connection needs are open.
GRANT USAGE ON SCHEMA teamscale_internal TO PUBLIC;

CREATE SCHEMA teamscale_bucket;
COMMENT ON SCHEMA teamscale_bucket IS 'The leaves of sharded tables: one per bucket that this node holds.';
