-- run transactions
-- run transactions-metadata provide.transaction.metadata=true skipped.operations=none
-- setup
CREATE TABLE a (id int PRIMARY KEY, n int);
CREATE TABLE b (id int PRIMARY KEY, n int);
INSERT INTO a VALUES (1, 1), (2, 2), (3, 3);
INSERT INTO b VALUES (1, 1);
-- step
BEGIN;
INSERT INTO a VALUES (4, 4);
INSERT INTO b VALUES (2, 2);
UPDATE a SET n = 5 WHERE id = 4;
UPDATE a SET id = 5 WHERE id = 4;
DELETE FROM b WHERE id = 2;
COMMIT;
INSERT INTO b VALUES (3, 3), (4, 4);
BEGIN;
INSERT INTO a VALUES (9, 9);
ROLLBACK;
BEGIN;
INSERT INTO a VALUES (10, 10);
SAVEPOINT s;
INSERT INTO a VALUES (11, 11);
ROLLBACK TO s;
INSERT INTO a VALUES (12, 12);
COMMIT;
-- step
TRUNCATE TABLE a;
INSERT INTO a VALUES (1, 1);
TRUNCATE b;
INSERT INTO b VALUES (1, 1);
UPDATE a, b SET a.n = 7, b.n = 8 WHERE a.id = b.id;
