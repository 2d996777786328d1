-- run toast
-- run toast-placeholder unavailable.value.placeholder=gone binary.handling.mode=hex hstore.handling.mode=map
-- run toast-base64 unavailable.value.placeholder=gone decimal.handling.mode=string binary.handling.mode=base64
-- setup
CREATE EXTENSION hstore;
CREATE TABLE held (id int PRIMARY KEY, n int, t text, v varchar, by bytea, j json, jb jsonb, x xml, num numeric, h hstore, vb bit varying,
    ta text[], ia int[], ba bytea[], na numeric[], da date[], ua uuid[], tsa timestamp[], ja jsonb[], i8 bigint[], f8 double precision[], po polygon);
ALTER TABLE held ALTER t SET STORAGE EXTERNAL, ALTER v SET STORAGE EXTERNAL, ALTER by SET STORAGE EXTERNAL, ALTER j SET STORAGE EXTERNAL,
    ALTER jb SET STORAGE EXTERNAL, ALTER x SET STORAGE EXTERNAL, ALTER h SET STORAGE EXTERNAL, ALTER vb SET STORAGE EXTERNAL, ALTER ta SET STORAGE EXTERNAL,
    ALTER ia SET STORAGE EXTERNAL, ALTER ba SET STORAGE EXTERNAL, ALTER na SET STORAGE EXTERNAL, ALTER da SET STORAGE EXTERNAL, ALTER ua SET STORAGE EXTERNAL, ALTER tsa SET STORAGE EXTERNAL,
    ALTER ja SET STORAGE EXTERNAL, ALTER num SET STORAGE EXTERNAL, ALTER i8 SET STORAGE EXTERNAL, ALTER f8 SET STORAGE EXTERNAL, ALTER po SET STORAGE EXTERNAL;
CREATE TABLE needed (id int PRIMARY KEY, n int, t text NOT NULL, by bytea);
ALTER TABLE needed ALTER t SET STORAGE EXTERNAL, ALTER by SET STORAGE EXTERNAL;
CREATE TABLE whole (id int PRIMARY KEY, n int, t text, by bytea);
ALTER TABLE whole ALTER t SET STORAGE EXTERNAL;
ALTER TABLE whole REPLICA IDENTITY FULL;
INSERT INTO held SELECT 1, 1, repeat('t', 3000), repeat('v', 3000), decode(repeat('00', 3000), 'hex'), to_json(repeat('j', 3000)), to_jsonb(repeat('j', 3000)), ('<a>' || repeat('x', 3000) || '</a>')::xml,
    repeat('9', 9000)::numeric, hstore('a', repeat('h', 3000)), repeat('10', 10000)::bit varying,
    ARRAY[repeat('t', 3000)], array_agg(g), ARRAY[decode(repeat('00', 3000), 'hex')], array_agg(g::numeric), array_agg('2026-01-01'::date), array_agg('00000000-0000-0000-0000-000000000001'::uuid), array_agg('2026-01-01'::timestamp),
    ARRAY[to_jsonb(repeat('j', 3000))], array_agg(g::bigint), array_agg(g::float8), ('(' || string_agg('(1,1)', ',') || ')')::polygon FROM generate_series(1, 1000) g;
INSERT INTO needed VALUES (1, 1, repeat('t', 3000), decode(repeat('00', 3000), 'hex'));
INSERT INTO whole VALUES (1, 1, repeat('t', 3000), '\x00');
TRUNCATE held, needed, whole;
-- step
INSERT INTO held SELECT 1, 1, repeat('t', 3000), repeat('v', 3000), decode(repeat('00', 3000), 'hex'), to_json(repeat('j', 3000)), to_jsonb(repeat('j', 3000)), ('<a>' || repeat('x', 3000) || '</a>')::xml,
    repeat('9', 9000)::numeric, hstore('a', repeat('h', 3000)), repeat('10', 10000)::bit varying,
    ARRAY[repeat('t', 3000)], array_agg(g), ARRAY[decode(repeat('00', 3000), 'hex')], array_agg(g::numeric), array_agg('2026-01-01'::date), array_agg('00000000-0000-0000-0000-000000000001'::uuid), array_agg('2026-01-01'::timestamp),
    ARRAY[to_jsonb(repeat('j', 3000))], array_agg(g::bigint), array_agg(g::float8), ('(' || string_agg('(1,1)', ',') || ')')::polygon FROM generate_series(1, 1000) g;
UPDATE held SET n = 2;
UPDATE held SET id = 2;
INSERT INTO needed VALUES (1, 1, repeat('t', 3000), decode(repeat('00', 3000), 'hex'));
UPDATE needed SET n = 2;
INSERT INTO whole VALUES (1, 1, repeat('t', 3000), '\x00');
UPDATE whole SET n = 2;
UPDATE whole SET id = 2;
DELETE FROM held;
