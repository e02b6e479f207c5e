-- Parameters keep type, collation and value.
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b mood);
CREATE DOMAIN short AS varchar(3) COLLATE "C";
CREATE TYPE float_range AS RANGE (subtype = float8);
CREATE TABLE p (id int, t text, c text COLLATE "C", m mood, ms mood[], pr pair, s short, n numeric(6, 2), v varchar(4), r float_range, b bpchar(4));
PREPARE add (int, text, text, mood, mood[], pair, short, numeric, varchar, float_range, bpchar) AS
    INSERT INTO p (t, id, c, ms, m, s, pr, v, n, r, b) VALUES ($2, $1, $3, $5, $4, $7, $6, $9, $8, $10, $11) RETURNING *;
EXECUTE add (1, 'a', 'B', 'ok', '{sad,happy}', '(1,ok)', 'abc', 1.239, 'abcd', '[1,2.5)', 'x');
EXECUTE add (2, 'B', 'a', 'sad', '{}', NULL, 'ab', 12345.6, 'é', NULL, 'y  ');
EXECUTE add (2, 'B', 'a', 'sad', '{}', NULL, 'abcd', 1, 'é', NULL, 'y  ');
EXECUTE add (2, 'B', 'a', 'sad', '{}', NULL, 'ab', 1, 'abcde', NULL, 'y  ');
EXECUTE add (2, 'B', 'a', 'sad', '{}', NULL, 'ab', 1, 'abcd', NULL, 'y  ');
PREPARE sparse (int, text, int) AS SELECT id, $3 + 1, $3 FROM p WHERE id = $3;
EXECUTE sparse (7, 'unused', 1);
PREPARE repeated (int) AS SELECT id, $1, $1::text, -$1, $1 / 2, $1::float8 / 2 FROM p WHERE id IN ($1, $1 + 1) ORDER BY id;
EXECUTE repeated (1);
PREPARE typed (mood, mood[], pair, text) AS
    SELECT $1, $1::text, $1 > 'sad', $1 = ANY ($2), $2, ($3).b, $3, ms || $1, $4 || t FROM p WHERE m = $1 AND ms = $2 ORDER BY c > $4, t < $4;
EXECUTE typed ('ok', '{sad,happy}', '(5,happy)', 'b');
PREPARE untyped AS SELECT id FROM p WHERE t = $1 AND id < $2 AND m = $3 LIMIT $4;
EXECUTE untyped ('a', 5, 'ok', 1);
PREPARE collated (text) AS SELECT t < $1, c < $1, $1 COLLATE "C" < t FROM p ORDER BY id;
EXECUTE collated ('Z');
PREPARE nulls (int, mood) AS SELECT $1 IS NULL, $2 IS NULL, coalesce($2, 'happy') FROM p WHERE id = 1;
EXECUTE nulls (NULL, NULL);
SET plan_cache_mode = force_generic_plan;
EXECUTE typed ('ok', '{sad,happy}', '(5,happy)', 'b');
EXECUTE repeated (1);
EXECUTE add (3, 'c', 'c', NULL, '{ok}', '(,)', 'c', 3, 'c', 'empty', 'c');
PREPARE dates (timestamptz, interval, date) AS SELECT $1, $2, $3, $1 + $2 > $3 FROM p WHERE id = 1;
SET datestyle = 'SQL, DMY';
EXECUTE dates ('2024-02-03 04:05:06+00', '1 day', '2024-03-04');
RESET ALL;
PREPARE lists (int[], text[]) AS UPDATE p SET (t, v) = (SELECT $2[1], $2[2]), n = $1[1] WHERE id = ANY ($1) RETURNING id, t, v, n;
EXECUTE lists ('{1,2}', '{x,y}');

-- In PL/pgSQL: variables, records, rows, collations.
CREATE FUNCTION use_variables(wanted int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    label text := 'label';
    collated text COLLATE "C" := 'Z';
    row_value p;
    record_value record;
    found_mood mood;
    total int;
    small varchar(2) := 'ab';
BEGIN
    SELECT m INTO found_mood FROM p WHERE id = wanted;
    SELECT * INTO row_value FROM p WHERE id = wanted;
    SELECT 7 AS seven, 'x'::text AS x INTO record_value;
    UPDATE p SET t = label || row_value.c || record_value.x, n = record_value.seven WHERE id = row_value.id AND m = found_mood;
    SELECT count(*) INTO total FROM p WHERE c < collated AND t <> small AND id < record_value.seven AND (row_value).id = wanted;
    PERFORM 1 FROM p WHERE p = row_value;
    RETURN found || ' ' || total || ' ' || row_value::text || record_value::text;
END$$;
SELECT use_variables(1);
SELECT use_variables(1);
CREATE FUNCTION loop_over() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE r p; i int;
BEGIN
    FOR r IN SELECT * FROM p ORDER BY id, t LOOP
        FOR i IN SELECT id FROM p WHERE id = r.id LOOP
            RETURN NEXT r.t || i;
        END LOOP;
    END LOOP;
    RETURN QUERY SELECT t FROM p WHERE m = 'ok';
    EXECUTE 'UPDATE p SET t = $1 WHERE id = $2' USING 'dynamic', 2;
    GET DIAGNOSTICS i = ROW_COUNT;
    RETURN NEXT i;
END$$;
SELECT loop_over();
CREATE FUNCTION by_sql(wanted int, prefix text DEFAULT 'p') RETURNS SETOF text LANGUAGE sql AS $$
    SELECT prefix || t FROM p WHERE id = wanted ORDER BY 1 $$;
SELECT by_sql(1), by_sql(wanted => 2, prefix => 'q');
SELECT * FROM by_sql(2), p WHERE p.id = 1;
CREATE FUNCTION by_body(wanted int) RETURNS text LANGUAGE sql RETURN (SELECT max(t) FROM p WHERE id = wanted);
CREATE FUNCTION by_atomic(wanted int) RETURNS SETOF p LANGUAGE sql BEGIN ATOMIC SELECT * FROM p WHERE id = wanted; END;
SELECT by_body(1), by_body(id) FROM p ORDER BY id, 2;
SELECT (by_atomic(1)).t;
DECLARE c CURSOR WITH HOLD FOR SELECT id, t FROM p ORDER BY id, t;
FETCH 2 FROM c;
FETCH BACKWARD 1 FROM c;
CREATE TABLE copied AS SELECT id, m, ms FROM p WHERE id = 1;
SELECT * FROM copied;
COPY (SELECT id, m, ms, pr FROM p ORDER BY id, t) TO STDOUT;
