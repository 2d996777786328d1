-- run keys
-- run keys-extended extended.headers.enabled=true
-- run keys-no-tombstones tombstones.on.delete=false
-- run keys-custom message.key.columns=public.plain:id,note;public.nothing:id;(.*).whole:note
-- setup
CREATE TABLE plain (id int PRIMARY KEY, note text, n int NOT NULL);
CREATE TABLE pair (a int, b text, note text, PRIMARY KEY (b, a));
CREATE TABLE keyless (id int, note text);
CREATE TABLE nothing (id int PRIMARY KEY, note text);
ALTER TABLE nothing REPLICA IDENTITY NOTHING;
CREATE TABLE whole (id int PRIMARY KEY, note text, n int NOT NULL);
ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE whole_keyless (id int, note text);
ALTER TABLE whole_keyless REPLICA IDENTITY FULL;
CREATE TABLE by_index (id int PRIMARY KEY, other int NOT NULL, note text);
CREATE UNIQUE INDEX by_index_other ON by_index (other);
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_other;
CREATE TABLE only_unique (id int NOT NULL, other int NOT NULL, note text);
CREATE UNIQUE INDEX only_unique_other ON only_unique (other);
CREATE TABLE unique_nullable (id int, note text UNIQUE);
INSERT INTO plain VALUES (1, 'one', 1), (2, 'two', 2), (3, null, 3);
INSERT INTO pair VALUES (1, 'x', 'one');
INSERT INTO keyless VALUES (1, 'one'), (2, 'two');
INSERT INTO only_unique VALUES (1, 1, 'one');
INSERT INTO unique_nullable VALUES (1, 'one');
INSERT INTO whole VALUES (1, 'one', 1);
-- step
INSERT INTO plain VALUES (4, 'four', 4);
UPDATE plain SET note = 'two!' WHERE id = 2;
UPDATE plain SET id = 20 WHERE id = 2;
UPDATE plain SET id = 30, note = 'thirty' WHERE id = 3;
UPDATE plain SET note = note WHERE id = 4;
DELETE FROM plain WHERE id = 4;
INSERT INTO pair VALUES (2, 'y', 'two');
UPDATE pair SET a = 3 WHERE a = 2;
UPDATE pair SET note = 'x' WHERE a = 3;
DELETE FROM pair WHERE a = 1;
INSERT INTO keyless VALUES (3, 'three');
INSERT INTO nothing VALUES (1, 'one');
INSERT INTO whole VALUES (2, 'two', 2);
UPDATE whole SET note = 'two!' WHERE id = 2;
UPDATE whole SET id = 3 WHERE id = 2;
DELETE FROM whole WHERE id = 3;
INSERT INTO whole_keyless VALUES (1, 'one');
UPDATE whole_keyless SET id = 2;
DELETE FROM whole_keyless;
INSERT INTO by_index VALUES (1, 10, 'one');
UPDATE by_index SET note = 'x';
UPDATE by_index SET id = 2;
UPDATE by_index SET other = 20;
DELETE FROM by_index;
INSERT INTO only_unique VALUES (2, 2, 'two');
INSERT INTO unique_nullable VALUES (2, 'two');
INSERT INTO unique_nullable VALUES (3, null);
