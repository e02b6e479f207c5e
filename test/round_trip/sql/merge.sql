-- MERGE.
CREATE TABLE stock (id int PRIMARY KEY, n int, note text DEFAULT 'none', tags text[], seen timestamptz DEFAULT now());
CREATE TABLE delta (id int, d int, w text);
INSERT INTO stock (id, n) VALUES (1, 10), (2, 20), (3, 30);
INSERT INTO delta VALUES (1, 5, 'up'), (2, -20, 'gone'), (4, 4, 'new'), (5, 0, 'skip');
MERGE INTO stock s USING delta d ON s.id = d.id
    WHEN MATCHED AND s.n + d.d = 0 THEN DELETE
    WHEN MATCHED THEN UPDATE SET (note, n) = (SELECT d.w, s.n + d.d), tags[1] = d.w, tags[2] = 'merged'
    WHEN NOT MATCHED AND d.d = 0 THEN DO NOTHING
    WHEN NOT MATCHED THEN INSERT (note, n, id) VALUES (d.w, d.d, d.id);
SELECT id, n, note, tags, seen = (SELECT max(seen) FROM stock) FROM stock ORDER BY id;
MERGE INTO stock USING (SELECT id, sum(d) AS d FROM delta GROUP BY id) d ON stock.id = d.id
    WHEN MATCHED THEN UPDATE SET n = DEFAULT, note = DEFAULT
    WHEN NOT MATCHED THEN INSERT VALUES (d.id, d.d);
WITH many AS (SELECT g AS id FROM generate_series(1, 8) g)
    MERGE INTO stock AS t USING many ON t.id = many.id WHEN NOT MATCHED THEN INSERT (id) VALUES (many.id);
SELECT id, n, note, tags FROM stock ORDER BY id;
CREATE TABLE numbered (id int GENERATED ALWAYS AS IDENTITY, w text, twice int GENERATED ALWAYS AS (length(w) * 2) STORED);
MERGE INTO numbered USING delta ON numbered.w = delta.w AND false WHEN NOT MATCHED THEN INSERT (w) VALUES (delta.w);
MERGE INTO numbered n USING delta ON n.w = delta.w WHEN MATCHED THEN UPDATE SET id = DEFAULT, w = n.w || '!';
MERGE INTO numbered n USING delta ON false WHEN NOT MATCHED AND d = 4 THEN INSERT (w, id) OVERRIDING SYSTEM VALUE VALUES (delta.w, 99);
SELECT * FROM numbered ORDER BY id;
