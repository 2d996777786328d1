-- run rows transforms=unwrap
-- run rows-drop transforms=unwrap transforms.unwrap.delete.tombstone.handling.mode=drop
-- run rows-rewrite transforms=unwrap transforms.unwrap.delete.tombstone.handling.mode=rewrite transforms.unwrap.replace.null.with.default=false
-- run rows-rewrite-with-tombstone transforms=unwrap transforms.unwrap.delete.tombstone.handling.mode=rewrite-with-tombstone transforms.unwrap.add.headers=op
-- run rows-delete-to-tombstone transforms=unwrap transforms.unwrap.delete.tombstone.handling.mode=delete-to-tombstone transforms.unwrap.add.headers=op,table,source.ts_ms,snapshot,xmin extended.headers.enabled=true
-- run rows-fields transforms=unwrap provide.transaction.metadata=true transforms.unwrap.delete.tombstone.handling.mode=rewrite transforms.unwrap.add.fields=op,table,lsn,ts_ms,ts_us,ts_ns,source.ts_ms,source.txId,version,connector,name,snapshot,db,sequence,source.ts_us,source.ts_ns,schema,xmin,origin,origin_lsn,id,transaction.total_order,data_collection_order transforms.unwrap.add.headers=op,table,lsn,ts_ms,ts_us,ts_ns,source.ts_ms,source.txId,version,connector,name,snapshot,db,sequence,source.ts_us,source.ts_ns,schema,xmin,origin,origin_lsn,id,transaction.total_order,data_collection_order
-- run rows-renamed extended.headers.enabled=true transforms=unwrap transforms.unwrap.delete.tombstone.handling.mode=rewrite-with-tombstone transforms.unwrap.add.fields=op:OP,source.lsn:source_lsn,lsn,snapshot transforms.unwrap.add.fields.prefix=$ transforms.unwrap.add.headers=op:OP,table transforms.unwrap.add.headers.prefix=x-
-- run rows-all extended.headers.enabled=true skipped.operations=none tombstones.on.delete=false schema.name.adjustment.mode=avro decimal.handling.mode=string transforms=unwrap transforms.unwrap.delete.tombstone.handling.mode=rewrite-with-tombstone transforms.unwrap.add.fields=op heartbeat.interval.ms=1
-- setup
CREATE TABLE plain (id int PRIMARY KEY, note text, price numeric(8,2), at timestamp DEFAULT '2026-01-01', n int NOT NULL DEFAULT 7);
CREATE TABLE whole (id int PRIMARY KEY, note text DEFAULT 'none', n int NOT NULL);
ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE keyless (id int, note text);
ALTER TABLE keyless REPLICA IDENTITY FULL;
INSERT INTO plain VALUES (1, 'one', 1.10), (2, null, 2.20), (3, 'three', null);
INSERT INTO whole VALUES (1, 'one', 1);
-- step
INSERT INTO plain VALUES (4, 'four', 4.4, null, 4);
UPDATE plain SET note = 'four!' WHERE id = 4;
UPDATE plain SET id = 40 WHERE id = 4;
DELETE FROM plain WHERE id = 40;
BEGIN;
INSERT INTO whole VALUES (2, null, 2);
UPDATE whole SET note = 'two' WHERE id = 2;
UPDATE whole SET id = 20 WHERE id = 2;
DELETE FROM whole WHERE id = 20;
INSERT INTO keyless VALUES (1, 'one');
UPDATE keyless SET id = 2;
DELETE FROM keyless;
COMMIT;
SELECT pg_logical_emit_message(true, 'told', 'inside');
TRUNCATE plain, whole;
-- step
ALTER TABLE plain ADD COLUMN more boolean DEFAULT true;
INSERT INTO plain VALUES (5, 'five', 5, null, 5);
