-- Bounds of partitions are what date_trunc() says in the policy's zone, over all changes of clocks, whatever the session's settings.
BEGIN;
SELECT plan(9);

CREATE TEMPORARY TABLE zone (name text);
INSERT INTO zone VALUES ('UTC'), ('Europe/Berlin'), ('Europe/Dublin'), ('America/New_York'), ('America/Sao_Paulo'), ('America/St_Johns'),
    ('Asia/Beirut'), ('Asia/Kathmandu'), ('Asia/Tehran'), ('Africa/Casablanca'), ('Australia/Lord_Howe'), ('Pacific/Apia'), ('Pacific/Chatham');

CREATE FUNCTION pg_temp.differences(unit text) RETURNS SETOF record LANGUAGE sql AS $$
    SELECT name, at, partition_range, date_trunc(unit, at, name)
    FROM zone, generate_series('2000-01-01 13:00', '2040-12-31 13:00', interval '1 day') AS at,
         teamscale.partition_range(('1 ' || unit)::interval, at, name)
    WHERE lower(partition_range) <> date_trunc(unit, at, name) OR NOT partition_range @> at
       OR upper(partition_range) <> lower(teamscale.partition_range(('1 ' || unit)::interval, upper(partition_range), name))
    LIMIT 3
$$;

SET LOCAL timezone = 'Asia/Tokyo';
SET LOCAL datestyle = 'SQL, DMY';
SELECT is_empty('SELECT * FROM pg_temp.differences(''day'') AS d (name text, at timestamptz, range tstzrange, expected timestamptz)',
                'days of 13 zones from 2000 to 2040');
SELECT is_empty('SELECT * FROM pg_temp.differences(''week'') AS d (name text, at timestamptz, range tstzrange, expected timestamptz)',
                'weeks of 13 zones from 2000 to 2040');
SET LOCAL timezone = 'America/Los_Angeles';
SET LOCAL datestyle = 'German';
SELECT is_empty('SELECT * FROM pg_temp.differences(''month'') AS d (name text, at timestamptz, range tstzrange, expected timestamptz)',
                'months of 13 zones from 2000 to 2040');

SELECT is(teamscale.partition_range('3 months', '2024-05-05 12:00+00'), '[2024-04-01 00:00+00,2024-07-01 00:00+00)',
          'quarters begin in January');
SELECT is(teamscale.partition_range('90 minutes', '2000-01-01 02:00+00', 'Asia/Kathmandu'), '[2000-01-01 01:45+00,2000-01-01 03:15+00)',
          'shorter steps are elapsed time from a midnight of the zone');

SELECT throws_ok($$SELECT teamscale.partition_range('0', now())$$, '22023');
SELECT throws_ok($$SELECT teamscale.partition_range('1 month 1 day', now())$$, '22023');
SELECT throws_ok($$SELECT teamscale.partition_range('1 day', now(), 'Mars/Olympus')$$, '22023', 'time zone "Mars/Olympus" does not exist');
SELECT throws_ok($$SELECT teamscale.partition_range('1 day', 'infinity')$$, '22008', 'no partition holds that time');

SELECT * FROM finish();
ROLLBACK;
