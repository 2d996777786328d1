-- run rows transforms=unwrap
-- run rows-fields transforms=unwrap transforms.unwrap.add.fields=op,table,db,server_id,gtid,file,pos,row,thread,query,source.ts_ms,snapshot,sequence,connector transforms.unwrap.add.headers=op,pos,db,row,file transforms.unwrap.delete.tombstone.handling.mode=rewrite-with-tombstone
-- setup
CREATE TABLE plain (id int PRIMARY KEY, note text, n decimal(10,2), dt datetime, lu bigint unsigned);
INSERT INTO plain VALUES (1, 'one', 1, '2026-11-21 04:05:06', 1), (2, 'two', 2, null, null);
-- step
INSERT INTO plain VALUES (3, 'three', 3.5, '2026-11-21 04:05:06', 18446744073709551615), (4, null, null, null, null);
UPDATE plain SET note = 'x' WHERE id = 3;
UPDATE plain SET id = 5 WHERE id = 3;
DELETE FROM plain WHERE id IN (1, 2);
