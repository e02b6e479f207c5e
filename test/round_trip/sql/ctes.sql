-- WITH in all its forms.
CREATE TABLE tree (id int PRIMARY KEY, parent int, name text);
INSERT INTO tree VALUES (1, NULL, 'root'), (2, 1, 'left'), (3, 1, 'right'), (4, 2, 'leaf'), (5, 3, 'leaf');
WITH t AS (SELECT * FROM tree WHERE id < 4) SELECT * FROM t ORDER BY id;
WITH t AS MATERIALIZED (SELECT * FROM tree), u AS NOT MATERIALIZED (SELECT id FROM t) SELECT count(*) FROM t JOIN u USING (id);
WITH RECURSIVE r AS (SELECT id, name FROM tree WHERE parent IS NULL UNION ALL SELECT t.id, t.name FROM tree t JOIN r ON t.parent = r.id)
    SELECT * FROM r ORDER BY id;
WITH RECURSIVE r AS (SELECT id, parent, name FROM tree WHERE parent IS NULL UNION ALL SELECT t.id, t.parent, t.name FROM tree t JOIN r ON t.parent = r.id)
    SEARCH DEPTH FIRST BY id SET path SELECT id, name FROM r ORDER BY path;
WITH RECURSIVE r AS (SELECT id, parent, name FROM tree WHERE parent IS NULL UNION ALL SELECT t.id, t.parent, t.name FROM tree t JOIN r ON t.parent = r.id)
    SEARCH BREADTH FIRST BY id SET position SELECT id, name FROM r ORDER BY position DESC;
WITH RECURSIVE r AS (SELECT id, parent FROM tree WHERE id = 4 UNION ALL SELECT t.id, t.parent FROM tree t JOIN r ON t.id = r.parent)
    CYCLE id SET looped USING path SELECT id, looped FROM r ORDER BY id;
WITH RECURSIVE r AS (SELECT id, parent FROM tree WHERE id = 4 UNION ALL SELECT t.id, t.parent FROM tree t JOIN r ON t.id = r.parent)
    SEARCH BREADTH FIRST BY id SET position CYCLE id SET looped TO 'yes' DEFAULT 'no' USING path SELECT id, looped FROM r ORDER BY id;
WITH gone AS (DELETE FROM tree WHERE id = 5 RETURNING *) SELECT g.name, tree.name FROM gone g, tree ORDER BY tree.id;
WITH changed AS (UPDATE tree SET name = upper(name) WHERE id = 4 RETURNING id, name), added AS (INSERT INTO tree (name, id) VALUES ('new', 6) RETURNING *)
    SELECT changed.*, added.* FROM changed, added;
WITH added (a, b) AS (INSERT INTO tree (name, id) SELECT name, id + 10 FROM tree RETURNING id, name)
    UPDATE tree SET (name, parent) = (SELECT b, a FROM added WHERE a = tree.id + 10) WHERE id = 1 RETURNING *;
SELECT * FROM tree ORDER BY id;
WITH t (a, b) AS (VALUES (1, 'x'), (2, 'y')) SELECT tree.id, t.b FROM tree JOIN t ON t.a = tree.id ORDER BY 1;
SELECT (WITH t AS (SELECT max(id) AS m FROM tree) SELECT m FROM t WHERE m > o.id) FROM tree o ORDER BY o.id;
