-- run shapes
-- run shapes-avro schema.name.adjustment.mode=avro field.name.adjustment.mode=avro topic.prefix=go-lden
-- run shapes-off include.schema.changes=false
-- setup
CREATE TABLE grown (id int PRIMARY KEY COMMENT 'the key', note varchar(20), e enum('sad')) COMMENT = 'it grows';
CREATE TABLE `Tä ble` (id int PRIMARY KEY, `a-b` int, `größe` int, `1st` int, `dot.ted` int, `$x` int, `_u` int);
INSERT INTO grown VALUES (1, 'one', 'sad');
INSERT INTO `Tä ble` VALUES (1, 2, 3, 4, 5, 6, 7);
-- step
INSERT INTO grown VALUES (2, 'two', 'sad');
INSERT INTO `Tä ble` VALUES (2, 2, 3, 4, 5, 6, 7);
-- step
ALTER TABLE grown ADD COLUMN extra int DEFAULT 5 AFTER id;
INSERT INTO grown VALUES (3, 3, 'three', 'sad');
UPDATE grown SET note = 'x' WHERE id = 1;
-- step
ALTER TABLE grown RENAME COLUMN note TO remark;
INSERT INTO grown VALUES (4, 4, 'four', 'sad');
-- step
ALTER TABLE grown DROP COLUMN remark;
INSERT INTO grown VALUES (5, 5, 'sad');
-- step
ALTER TABLE grown MODIFY extra bigint NOT NULL;
-- step
ALTER TABLE grown ADD COLUMN price decimal(10,2) NOT NULL DEFAULT 1.50;
INSERT INTO grown (id, extra) VALUES (6, 6);
-- step
ALTER TABLE grown MODIFY e enum('sad', 'happy');
INSERT INTO grown (id, extra, e) VALUES (7, 7, 'happy');
-- step
ALTER TABLE grown DROP PRIMARY KEY;
INSERT INTO grown (id, extra) VALUES (8, 8);
UPDATE grown SET extra = id;
-- step
ALTER TABLE grown ADD PRIMARY KEY (extra);
INSERT INTO grown (id, extra) VALUES (9, 9);
CREATE INDEX grown_id ON grown (id);
-- step
RENAME TABLE grown TO renamed;
INSERT INTO renamed (id, extra) VALUES (11, 11);
-- step
CREATE TABLE born (id int PRIMARY KEY, n int NOT NULL DEFAULT 3);
INSERT INTO born VALUES (1, 2);
-- step
DROP TABLE born;
CREATE TABLE born (id varchar(9) PRIMARY KEY, m int) SELECT 'x' AS id, 1 AS m;
CREATE TABLE born2 LIKE born;
CREATE VIEW seen AS SELECT * FROM born;
