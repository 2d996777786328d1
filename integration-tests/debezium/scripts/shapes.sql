-- run shapes
-- run shapes-avro schema.name.adjustment.mode=avro field.name.adjustment.mode=avro topic.prefix=go-lden
-- run shapes-unicode schema.name.adjustment.mode=avro_unicode field.name.adjustment.mode=avro_unicode
-- setup
CREATE SCHEMA "od-d";
CREATE TABLE grown (id int PRIMARY KEY, note text);
CREATE TABLE "od-d"."Tä ble" (id int PRIMARY KEY, "a-b" int, "größe" int, "1st" int, "dot.ted" int, "$x" int, "_u" int);
CREATE TABLE generated (id int PRIMARY KEY, a int, i int GENERATED ALWAYS AS IDENTITY, s smallserial);
CREATE TYPE mood AS ENUM ('sad');
CREATE TABLE moody (id int PRIMARY KEY, m mood);
INSERT INTO grown VALUES (1, 'one');
INSERT INTO "od-d"."Tä ble" VALUES (1, 2, 3, 4, 5, 6, 7);
INSERT INTO generated (id, a) VALUES (1, 1);
INSERT INTO moody VALUES (1, 'sad');
-- step
INSERT INTO grown VALUES (2, 'two');
INSERT INTO "od-d"."Tä ble" VALUES (2, 2, 3, 4, 5, 6, 7);
INSERT INTO generated (id, a) VALUES (2, 1);
-- step
ALTER TABLE grown ADD COLUMN extra int DEFAULT 5;
INSERT INTO grown VALUES (3, 'three', 3);
UPDATE grown SET note = 'x' WHERE id = 1;
-- step
ALTER TABLE grown RENAME COLUMN note TO remark;
INSERT INTO grown VALUES (4, 'four', 4);
-- step
ALTER TABLE grown DROP COLUMN remark;
INSERT INTO grown VALUES (5, 5);
-- step
ALTER TABLE grown ALTER COLUMN extra TYPE bigint;
ALTER TABLE grown ALTER COLUMN extra SET NOT NULL;
INSERT INTO grown VALUES (6, 6);
-- step
ALTER TABLE grown ADD COLUMN price numeric(10,2) NOT NULL DEFAULT 1.50;
INSERT INTO grown VALUES (7, 7);
-- step
ALTER TABLE grown ALTER COLUMN price TYPE numeric(12,3);
INSERT INTO grown VALUES (8, 8);
-- step
UPDATE grown SET extra = id WHERE id = 1;
UPDATE grown SET extra = id WHERE id = 2;
UPDATE grown SET extra = id WHERE id = 3;
UPDATE grown SET extra = id WHERE id = 4;
-- step
ALTER TABLE grown DROP CONSTRAINT grown_pkey;
INSERT INTO grown VALUES (9, 9);
-- step
ALTER TABLE grown ADD PRIMARY KEY (extra);
INSERT INTO grown VALUES (10, 10);
-- step
ALTER TYPE mood ADD VALUE 'happy';
INSERT INTO moody VALUES (2, 'happy');
-- step
ALTER TABLE moody ADD COLUMN x int;
INSERT INTO moody VALUES (3, 'happy', 1);
-- step
ALTER TABLE grown RENAME TO renamed;
INSERT INTO renamed VALUES (11, 11);
-- step
CREATE TABLE born (id int PRIMARY KEY, n int NOT NULL DEFAULT 3);
INSERT INTO born VALUES (1);
-- step
DROP TABLE born;
CREATE TABLE born (id text PRIMARY KEY, m int);
INSERT INTO born VALUES ('x', 1);
