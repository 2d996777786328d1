-- run keys
-- run keys-extended extended.headers.enabled=true
-- run keys-custom tombstones.on.delete=false message.key.columns=golden.plain:id,note;(.*).keyless:note
-- setup
CREATE TABLE plain (id int PRIMARY KEY, note text, n int NOT NULL);
CREATE TABLE pair (a int, b varchar(9), note text, PRIMARY KEY (b, a));
CREATE TABLE keyless (id int, note varchar(20));
CREATE TABLE only_unique (id int NOT NULL, other int NOT NULL, note text, UNIQUE KEY by_other (other));
CREATE TABLE unique_pair (a int NOT NULL, b int NOT NULL, c int NOT NULL, UNIQUE KEY z (c), UNIQUE KEY y (b, a));
CREATE TABLE unique_nullable (id int, note varchar(20), UNIQUE KEY (note));
INSERT INTO plain VALUES (1, 'one', 1), (2, 'two', 2), (3, null, 3);
INSERT INTO pair VALUES (1, 'x', 'one');
INSERT INTO keyless VALUES (1, 'one'), (2, 'two');
INSERT INTO only_unique VALUES (1, 1, 'one');
INSERT INTO unique_pair VALUES (1, 2, 3);
INSERT INTO unique_nullable VALUES (1, 'one');
-- step
INSERT INTO plain VALUES (4, 'four', 4), (5, 'five', 5), (6, 'six', 6);
UPDATE plain SET note = 'two!' WHERE id = 2;
UPDATE plain SET id = 20 WHERE id = 2;
UPDATE plain SET id = 30, note = 'thirty' WHERE id = 3;
UPDATE plain SET note = note WHERE id = 4;
DELETE FROM plain WHERE id IN (4, 5);
REPLACE INTO plain VALUES (6, 'six!', 7);
INSERT INTO plain VALUES (6, 'again', 8) ON DUPLICATE KEY UPDATE note = 'six!!';
INSERT INTO pair VALUES (2, 'y', 'two');
UPDATE pair SET a = 3 WHERE a = 2;
UPDATE pair SET note = 'x' WHERE a = 3;
DELETE FROM pair WHERE a = 1;
INSERT INTO keyless VALUES (3, 'three');
UPDATE keyless SET id = 4 WHERE id = 3;
DELETE FROM keyless WHERE id = 4;
INSERT INTO only_unique VALUES (2, 2, 'two');
UPDATE only_unique SET other = 3 WHERE id = 2;
INSERT INTO unique_pair VALUES (4, 5, 6);
INSERT INTO unique_nullable VALUES (2, 'two'), (3, null);
