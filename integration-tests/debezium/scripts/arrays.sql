-- run arrays
-- run arrays-modes decimal.handling.mode=string binary.handling.mode=hex time.precision.mode=connect hstore.handling.mode=map
-- setup
CREATE EXTENSION hstore;
CREATE EXTENSION citext;
CREATE EXTENSION ltree;
CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"', 'happy, really');
CREATE DOMAIN price AS numeric(12,2);
CREATE TABLE nullable (
    id int PRIMARY KEY, b boolean[], i2 smallint[], i4 integer[], i8 bigint[], o oid[], f4 real[], f8 double precision[], n numeric[], n10 numeric(10,2)[], m money[],
    t text[], v varchar(5)[], c char(5)[], c1 "char"[], na name[], ci citext[], by bytea[], u uuid[], j json[], jb jsonb[], x xml[],
    d date[], ti time[], t3 time(3)[], tz timetz[], ts timestamp[], ts3 timestamp(3)[], tstz timestamptz[], iv interval[],
    i inet[], ma macaddr[], r4 int4range[], rn numrange[], rt tsrange[], mo mood[], dp price[], h hstore[], lt ltree[],
    p point[], bx box[], b1 bit(1)[], b4 bit(4)[], vb bit varying[],
    pt point, ln line, ls lseg, bo box, pa path, po polygon, ci2 circle
);
CREATE TABLE needed (id int PRIMARY KEY, i4 integer[] NOT NULL, t text[] NOT NULL, pt point NOT NULL);
INSERT INTO nullable VALUES (1);
INSERT INTO nullable VALUES (2, '{t,f,NULL}', '{1,NULL}', '{1,NULL,-2147483648}', '{9223372036854775807}', '{1,4294967295}', '{1.1,NULL}', '{0.1,1e22}', '{1.10,2}', '{1.1,-0.05,NULL}', '{12.34}',
    '{a,"b c",NULL,"NULL","",",","{}","\"","\\"," x "}', '{ab}', '{ab}', '{x}', '{name}', '{Ab}', ARRAY['\x00ff'::bytea, '\x', NULL], '{00000000-0000-0000-0000-000000000001}',
    ARRAY['{"a": [1, 2]}'::json, 'null'], ARRAY['{"a": "b c"}'::jsonb, NULL], ARRAY['<a/>'::xml],
    '{2026-01-01,NULL}', '{04:05:06.7,NULL}', '{04:05:06.7}', '{04:05:06.789-08}', '{2026-01-01 10:00:00}', '{2026-01-01 10:00:00.5}', '{2026-01-01 10:00:00+02,NULL}', '{1 day}',
    '{10.0.0.1/8,::1}', '{08:00:2b:01:02:03}', '{"[1,3)",empty}', '{"[1.5,3)"}', '{"[2026-01-01,2026-01-02)"}', ARRAY['sad','happy, really']::mood[], '{1.50,0}', ARRAY['a=>1'::hstore], '{a.b,c}',
    '{"(1,2)"}', '{(1,1),(0,0);(2,2),(1,1)}', '{1,0}', '{0101}', '{011}',
    '(1.5,-2)', '{1,-1,0}', '[(0,0),(1,1)]', '(1,1),(0,0)', '((0,0),(1,1))', '((0,0),(1,1),(2,0))', '<(0,0),2.5>');
INSERT INTO needed VALUES (1, '{}', '{x}', '(1,2)');
-- step
INSERT INTO nullable VALUES (11);
INSERT INTO nullable VALUES (12, '{t,f,NULL}', '{1,NULL}', '{1,NULL,-2147483648}', '{9223372036854775807}', '{1,4294967295}', '{1.1,NULL}', '{0.1,1e22}', '{1.10,2}', '{1.1,-0.05,NULL}', '{12.34}',
    '{a,"b c",NULL,"NULL","",",","{}","\"","\\"," x "}', '{ab}', '{ab}', '{x}', '{name}', '{Ab}', ARRAY['\x00ff'::bytea, '\x', NULL], '{00000000-0000-0000-0000-000000000001}',
    ARRAY['{"a": [1, 2]}'::json, 'null'], ARRAY['{"a": "b c"}'::jsonb, NULL], ARRAY['<a/>'::xml],
    '{2026-01-01,NULL}', '{04:05:06.7,NULL}', '{04:05:06.7}', '{04:05:06.789-08}', '{2026-01-01 10:00:00}', '{2026-01-01 10:00:00.5}', '{2026-01-01 10:00:00+02,NULL}', '{1 day}',
    '{10.0.0.1/8,::1}', '{08:00:2b:01:02:03}', '{"[1,3)",empty}', '{"[1.5,3)"}', '{"[2026-01-01,2026-01-02)"}', ARRAY['sad','happy, really']::mood[], '{1.50,0}', ARRAY['a=>1'::hstore], '{a.b,c}',
    '{"(1,2)"}', '{(1,1),(0,0);(2,2),(1,1)}', '{1,0}', '{0101}', '{011}',
    '(1.5,-2)', '{1,-1,0}', '[(0,0),(1,1)]', '(1,1),(0,0)', '((0,0),(1,1))', '((0,0),(1,1),(2,0))', '<(0,0),2.5>');
INSERT INTO nullable (id, b, i4, t, pt) VALUES (13, '{}', '{}', '{}', '(1e300,-0.0)');
INSERT INTO nullable (id, i4, t) VALUES (14, '{NULL}', '{NULL}');
INSERT INTO needed VALUES (2, '{}', '{x}', '(1,2)');
-- step
DELETE FROM needed WHERE id = 1;
