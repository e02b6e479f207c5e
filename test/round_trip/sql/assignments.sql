-- Assignments keep their columns, whatever order the rewriter puts them in.
CREATE TABLE target (a int, b text, c int DEFAULT 7, d text DEFAULT 'default');
CREATE TABLE source (x int, y text, z int);
INSERT INTO source VALUES (1, 'one', 10), (2, 'two', 20), (3, NULL, 30);

INSERT INTO target (b, a) VALUES ('v', 1);
INSERT INTO target (b, a) VALUES ('v', 2), ('w', 3);
INSERT INTO target (d, b, a, c) VALUES ('d', 'b', 4, 40), (DEFAULT, 'c', 5, DEFAULT);
INSERT INTO target (b, a) SELECT y, x FROM source;
INSERT INTO target (b, a) SELECT y, x FROM source ORDER BY x DESC LIMIT 2;
INSERT INTO target (d, a) SELECT 'same'::text, x FROM source UNION ALL SELECT y, z FROM source;
INSERT INTO target (b, a) VALUES ((SELECT max(y) FROM source), (SELECT min(x) FROM source));
INSERT INTO target (b, a) VALUES ((SELECT max(y) FROM source), 1), ('x', (SELECT count(*) FROM source));
INSERT INTO target (b, a) WITH s AS (SELECT * FROM source) SELECT y, x FROM s;
WITH s AS (SELECT * FROM source) INSERT INTO target (b, a) SELECT y, x FROM s;
WITH s AS (SELECT * FROM source) INSERT INTO target (b, a) VALUES ((SELECT max(y) FROM s), 1), ('v', 2);
INSERT INTO target DEFAULT VALUES;
INSERT INTO target SELECT x, y FROM source RETURNING *, a + c AS sum;
INSERT INTO target (a, a) VALUES (1, 2);
SELECT * FROM target ORDER BY a, b, c, d;

UPDATE target SET (b, a) = (SELECT 'pair', 100) WHERE a = 1 RETURNING *;
UPDATE target SET (d, b, a) = (SELECT y, y || '!', x FROM source WHERE x = target.a), c = 0 WHERE a = 2 RETURNING *;
UPDATE target SET (d, a) = (SELECT 'd', 5), (c, b) = (SELECT 6, 'b') WHERE a = 3 RETURNING *;
UPDATE target SET (b, a) = ('row', a + 1) WHERE a = 100 RETURNING *;
UPDATE target SET (b, a) = ROW ('row', a + 1) WHERE a = 101 RETURNING *;
UPDATE target SET b = DEFAULT, d = DEFAULT, a = a WHERE a = 102 RETURNING *;
UPDATE target AS t SET b = s.y, a = s.z FROM source s WHERE s.x = t.a RETURNING t.*, s.x;
UPDATE target SET (b, a) = (SELECT y, x FROM source WHERE false) WHERE a = 10 RETURNING *;

CREATE TABLE keyed (id int PRIMARY KEY, b text, c int, tags text[] DEFAULT '{}');
INSERT INTO keyed (c, id, b) VALUES (1, 1, 'one') ON CONFLICT DO NOTHING;
INSERT INTO keyed (c, id, b) VALUES (2, 1, 'again')
    ON CONFLICT (id) DO UPDATE SET (c, b) = (SELECT excluded.c, excluded.b || keyed.b) RETURNING *;
INSERT INTO keyed AS k (c, id, b) VALUES (2, 1, 'again'), (3, 2, 'new')
    ON CONFLICT (id) DO UPDATE SET tags[1] = 'x', tags[2] = excluded.b, c = k.c + 1 WHERE k.c < 100 RETURNING k.*;
INSERT INTO keyed (c, id) SELECT x, z FROM source ON CONFLICT ON CONSTRAINT keyed_pkey DO UPDATE SET b = 'hit';
INSERT INTO keyed (c, id) SELECT x + 50, z FROM source ON CONFLICT (id) DO UPDATE SET c = excluded.c;
SELECT * FROM keyed ORDER BY id;

CREATE TYPE inner_type AS (x int, y text);
CREATE TYPE outer_type AS (i inner_type, n int, list int[]);
CREATE DOMAIN int_list AS int[] CHECK (array_length(VALUE, 1) < 10);
CREATE TABLE nested (id int, a int[], m int[], o outer_type, os outer_type[], l int_list);
INSERT INTO nested (id, a[1], a[3]) VALUES (1, 10, 30);
INSERT INTO nested (id, a[1], a[2]) VALUES (2, 1, 2), (3, 3, 4);
INSERT INTO nested (id, o.n, o.i.x, o.i.y) VALUES (4, 5, 6, 'seven');
INSERT INTO nested (id, o.i.y, o.n) SELECT x + 10, y, z FROM source;
INSERT INTO nested (a[2], id, a[1]) SELECT z, x + 20, x FROM source;
INSERT INTO nested (l[1], l[2], id) VALUES (1, 2, 30);
INSERT INTO nested (l[1], l[2], id) VALUES (1, 2, 31), (3, 4, 32);
UPDATE nested SET a[1] = 100, a[2] = 200, a[5] = 500 WHERE id = 1;
UPDATE nested SET a[1:2] = '{7,8}', a[4] = 9 WHERE id = 2;
UPDATE nested SET m[1][1] = 1 WHERE id = 2;
UPDATE nested SET m = '{{1,2},{3,4}}' WHERE id = 3;
UPDATE nested SET m[1][2] = 20, m[2][1] = 30 WHERE id = 3;
UPDATE nested SET o.n = 1, o.i.x = 2, o.i.y = 'three', o.list[1] = 4, o.list[2] = 5 WHERE id = 4;
UPDATE nested SET os[1].n = 1, os[1].i.x = 2, os[2].i.y = 'y' WHERE id = 4;
UPDATE nested SET l[1] = 10, l[3] = 30 WHERE id >= 30;
UPDATE nested SET (o.n, a[1], o.i.x) = (SELECT 91, 92, 93) WHERE id = 11 RETURNING *;
UPDATE nested SET o.i = ROW (1, 'a'), a = a || 1 WHERE id = 12;
SELECT * FROM nested ORDER BY id;
CREATE TABLE documents (id int, body jsonb);
INSERT INTO documents VALUES (1, '{"a": 1}');
UPDATE documents SET body['b'] = '2', body['c']['d'] = '3' WHERE id = 1 RETURNING body;
DELETE FROM target USING source WHERE target.a = source.z RETURNING target.a, source.y;
DELETE FROM keyed WHERE id IN (SELECT x FROM source) RETURNING *;
