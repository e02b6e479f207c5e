-- Statements within triggers and functions.
CREATE TABLE account (id int PRIMARY KEY, amount numeric);
CREATE TABLE journal (no serial, id int, change numeric, seen int);
CREATE FUNCTION log_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE n int;
BEGIN
    SELECT count(*) INTO n FROM account WHERE id <= NEW.id;
    INSERT INTO journal (change, id, seen) VALUES (NEW.amount - coalesce(OLD.amount, 0), NEW.id, n);
    UPDATE journal SET change = change + 0 WHERE id = NEW.id;
    RETURN NEW;
END$$;
CREATE TRIGGER log_change AFTER INSERT OR UPDATE ON account FOR EACH ROW EXECUTE FUNCTION log_change();
INSERT INTO account (amount, id) VALUES (10, 1), (20, 2);
UPDATE account SET amount = amount * 2 WHERE id = 2;
INSERT INTO account VALUES (1, 5) ON CONFLICT (id) DO UPDATE SET amount = account.amount + excluded.amount RETURNING *;
SELECT * FROM journal ORDER BY no;
CREATE TABLE entry (account int REFERENCES account ON DELETE CASCADE ON UPDATE CASCADE, v text);
INSERT INTO entry VALUES (1, 'x'), (2, 'y');
INSERT INTO entry VALUES (9, 'z');
UPDATE account SET id = 3 WHERE id = 2;
DELETE FROM account WHERE id = 1;
SELECT * FROM entry;
