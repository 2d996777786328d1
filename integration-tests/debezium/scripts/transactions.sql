-- run transactions
-- run transactions-metadata provide.transaction.metadata=true skipped.operations=none
-- run transactions-skip skipped.operations=u,d topic.heartbeat.prefix=beat heartbeat.interval.ms=1
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
SELECT pg_logical_emit_message(true, 'told', 'inside');
SELECT pg_logical_emit_message(false, 'told', 'outside');
BEGIN;
SELECT pg_logical_emit_message(true, 'told', 'größe');
INSERT INTO b VALUES (5, 5);
SELECT pg_logical_emit_message(false, 'told', 'inside, but not of it');
SELECT pg_logical_emit_message(true, 'raw', '\x00ff'::bytea);
COMMIT;
-- step
TRUNCATE a, b;
TRUNCATE a;
BEGIN;
INSERT INTO a VALUES (1, 1);
TRUNCATE a;
INSERT INTO a VALUES (2, 2);
COMMIT;
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
