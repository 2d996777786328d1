-- run statements schema.history.internal.store.only.captured.tables.ddl=true
-- run statements-some table.include.list=golden\.kept.*,done\.done schema.history.internal.store.only.captured.tables.ddl=true
-- setup
DROP DATABASE IF EXISTS elsewhere;
CREATE TABLE kept (id int PRIMARY KEY AUTO_INCREMENT, note varchar(20) CHARACTER SET latin1 NOT NULL DEFAULT 'x', n decimal(10,2) unsigned);
CREATE TABLE other (id int PRIMARY KEY);
INSERT INTO kept (n) VALUES (1);
-- step
ALTER TABLE kept ADD COLUMN extra int DEFAULT 5 AFTER id, ADD COLUMN last timestamp(3) NULL;
INSERT INTO kept (n) VALUES (2);
ALTER TABLE other ADD n int;
INSERT INTO other VALUES (1, 2);
-- step
ALTER TABLE kept DROP COLUMN extra;
INSERT INTO kept (n) VALUES (3);
-- step
ALTER TABLE golden.kept RENAME COLUMN note TO remark;
ALTER TABLE kept MODIFY remark varchar(30) CHARACTER SET utf8mb4;
INSERT INTO kept (n) VALUES (4);
-- step
ALTER TABLE kept CHANGE n amount bigint unsigned NOT NULL DEFAULT 7 COMMENT 'how much';
INSERT INTO kept (amount) VALUES (5);
-- step
TRUNCATE TABLE kept;
INSERT INTO kept (amount) VALUES (6);
TRUNCATE other;
-- step
CREATE TABLE kept2 (a int NOT NULL, b char(3) NOT NULL, c enum('x','y''z'), d year, e bit(3), f double, g datetime, h varbinary(5), i blob, j int AS (a + 1) VIRTUAL, PRIMARY KEY (b, a));
INSERT INTO kept2 (a, b) VALUES (1, 'b');
CREATE TABLE uniqued (a int NOT NULL, b int NOT NULL, UNIQUE KEY u (b));
CREATE TABLE keyless (a int, b json);
-- step
CREATE TABLE IF NOT EXISTS kept2 (a int);
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
DROP TABLE IF EXISTS nothing;
-- step
CREATE INDEX by_amount ON kept (amount);
DROP INDEX by_amount ON kept;
ALTER TABLE kept ADD INDEX by_amount (amount);
ALTER TABLE kept COMMENT = 'it is kept';
ALTER TABLE kept ENGINE = InnoDB /* again */;
ALTER TABLE kept ADD CONSTRAINT positive CHECK (amount > 0), ALTER amount SET DEFAULT 8;
CREATE UNIQUE INDEX u ON keyless (a);
ANALYZE TABLE kept;
-- step
DROP TABLE other2;
CREATE VIEW seen AS SELECT id FROM kept;
DROP VIEW seen;
CREATE TABLE other3 (id int PRIMARY KEY);
ALTER TABLE other3 ADD n int;
DROP TABLE other3;
-- step
CREATE DATABASE elsewhere;
CREATE TABLE elsewhere.t (id int PRIMARY KEY);
ALTER TABLE elsewhere.t ADD n int;
DROP TABLE elsewhere.t;
DROP DATABASE elsewhere;
-- step
/* why */ ALTER TABLE kept
  ADD COLUMN `größe` int,
  ADD COLUMN y int;
-- step
CREATE TEMPORARY TABLE kept_temporary (id int);
DROP TEMPORARY TABLE kept_temporary;
CREATE USER IF NOT EXISTS somebody IDENTIFIED BY 'secret-word';
DROP USER somebody;
CREATE PROCEDURE p() SELECT 1;
DROP PROCEDURE p;
ALTER DATABASE golden CHARACTER SET latin1;
CREATE TABLE kept7 (id int PRIMARY KEY, t varchar(5));
-- step
DROP DATABASE golden;
