-- run partitions table.include.list=public.parted
-- setup
CREATE TABLE parted (id int, part int, note text, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
INSERT INTO parted VALUES (1, 1, 'one');
-- step
INSERT INTO parted VALUES (2, 2, 'two');
UPDATE parted SET part = 2 WHERE id = 1;
UPDATE parted SET note = 'x' WHERE id = 1;
DELETE FROM parted WHERE id = 2;
