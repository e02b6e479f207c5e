CREATE FUNCTION teamscale.partition_range(every interval, "at" timestamptz, time_zone text DEFAULT 'UTC') RETURNS tstzrange
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_partition_range';
COMMENT ON FUNCTION teamscale.partition_range(interval, timestamptz, text) IS
    'The bounds of the partition that holds an instant under a policy of that width in that zone: what maintenance will make. '
    'Months count from January of year 1, weeks from Mondays, days from midnights, shorter steps in elapsed time from 2000-01-01.';
