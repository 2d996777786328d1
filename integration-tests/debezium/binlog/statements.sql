-- run statements schema.history.internal.store.only.captured.tables.ddl=true
-- run statements-some table.include.list=golden\.kept.*,done\.done schema.history.internal.store.only.captured.tables.ddl=true
-- Each statement is a step of its own: what a table was like that is altered again at once nobody can tell any more.
-- setup
DROP DATABASE IF EXISTS elsewhere;
CREATE TABLE kept (id int PRIMARY KEY AUTO_INCREMENT, note varchar(20) CHARACTER SET latin1 NOT NULL DEFAULT 'x', n decimal(10,2) unsigned);
CREATE TABLE other (id int PRIMARY KEY);
INSERT INTO kept (n) VALUES (1);
-- step
ALTER TABLE kept ADD COLUMN extra int DEFAULT 5 AFTER id, ADD COLUMN last timestamp(3) NULL;
INSERT INTO kept (n) VALUES (2);
-- step
ALTER TABLE other ADD n int;
INSERT INTO other VALUES (1, 2);
-- step
ALTER TABLE kept DROP COLUMN extra;
INSERT INTO kept (n) VALUES (3);
-- step
ALTER TABLE golden.kept RENAME COLUMN note TO remark;
-- step
ALTER TABLE kept MODIFY remark varchar(30) CHARACTER SET utf8mb4;
INSERT INTO kept (n) VALUES (4);
-- step
ALTER TABLE kept CHANGE n amount bigint unsigned NOT NULL DEFAULT 7 COMMENT 'how much';
INSERT INTO kept (amount) VALUES (5);
-- step
TRUNCATE TABLE kept;
INSERT INTO kept (amount) VALUES (6);
-- step
TRUNCATE other;
-- step
CREATE TABLE kept2 (a int NOT NULL, b char(3) NOT NULL, c enum('x','y''z'), d year, e bit(3), f double, g datetime, h varbinary(5), i blob, j int AS (a + 1) VIRTUAL, PRIMARY KEY (b, a));
INSERT INTO kept2 (a, b) VALUES (1, 'b');
-- step
CREATE TABLE uniqued (a int NOT NULL, b int NOT NULL, UNIQUE KEY u (b));
-- step
CREATE TABLE keyless (a int, b json);
-- step
CREATE TABLE IF NOT EXISTS kept2 (a int);
-- step
CREATE TABLE kept3 LIKE kept2;
-- step
CREATE TABLE kept4 (id int PRIMARY KEY) SELECT 1 AS id;
-- step
RENAME TABLE kept TO kept5;
INSERT INTO kept5 (amount) VALUES (7);
-- step
RENAME TABLE golden.kept5  TO `kept`, /* and */ other TO other2;
INSERT INTO kept (amount) VALUES (8);
-- step
ALTER TABLE kept RENAME TO kept6;
-- step
ALTER TABLE kept6 RENAME TO kept, ADD COLUMN z int;
-- step
DROP TABLE kept2, kept3;
-- step
DROP TABLE IF EXISTS nothing;
-- step
CREATE INDEX by_amount ON kept (amount);
-- step
DROP INDEX by_amount ON kept;
-- step
ALTER TABLE kept ADD INDEX by_amount (amount);
-- step
ALTER TABLE kept COMMENT = 'it is kept';
-- step
ALTER TABLE kept ENGINE = InnoDB /* again */;
-- step
ALTER TABLE kept ADD CONSTRAINT positive CHECK (amount > 0), ALTER amount SET DEFAULT 8;
-- step
CREATE UNIQUE INDEX u ON keyless (a);
-- step
ANALYZE TABLE kept;
-- step
DROP TABLE other2;
-- step
CREATE VIEW seen AS SELECT id FROM kept;
-- step
DROP VIEW seen;
-- step
CREATE TABLE other3 (id int PRIMARY KEY);
-- step
ALTER TABLE other3 ADD n int;
-- step
DROP TABLE other3;
-- step
CREATE DATABASE elsewhere;
-- step
CREATE TABLE elsewhere.t (id int PRIMARY KEY);
-- step
ALTER TABLE elsewhere.t ADD n int;
-- step
DROP TABLE elsewhere.t;
-- step
DROP DATABASE elsewhere;
-- step
/* why */ ALTER TABLE kept
  ADD COLUMN `größe` int,
  ADD COLUMN y int;
-- step
CREATE TEMPORARY TABLE kept_temporary (id int);
-- step
DROP TEMPORARY TABLE kept_temporary;
-- step
CREATE USER IF NOT EXISTS somebody IDENTIFIED BY 'secret-word';
-- step
DROP USER somebody;
-- step
CREATE PROCEDURE p() SELECT 1;
-- step
DROP PROCEDURE p;
-- step
ALTER DATABASE golden CHARACTER SET latin1;
-- step
CREATE TABLE kept7 (id int PRIMARY KEY, t varchar(5));
-- step
DROP DATABASE golden;
