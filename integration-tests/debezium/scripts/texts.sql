-- run texts
-- run texts-base64 binary.handling.mode=base64 hstore.handling.mode=map
-- run texts-base64-url binary.handling.mode=base64-url-safe
-- run texts-hex binary.handling.mode=hex
-- setup
CREATE EXTENSION hstore;
CREATE EXTENSION citext;
CREATE EXTENSION ltree;
CREATE EXTENSION isn;
CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"', 'happy, really');
CREATE TYPE pair AS (n int, label text);
CREATE DOMAIN price AS numeric(12,2);
CREATE DOMAIN short AS varchar(9);
CREATE DOMAIN shorter AS short;
CREATE DOMAIN filled AS int NOT NULL DEFAULT 5;
CREATE TABLE nullable (
    id int PRIMARY KEY, t text, v varchar(5), c char(5), c1 "char", n name, ci citext, by bytea, u uuid, j json, jb jsonb, x xml,
    i inet, ci4 cidr, ma macaddr, ma8 macaddr8, tv tsvector, tq tsquery, m mood, h hstore, lt ltree, lq lquery, isbn isbn, ean ean13,
    r4 int4range, r8 int8range, rn numrange, rt tsrange, rtz tstzrange, rd daterange, mr int4multirange,
    dp price, ds short, dss shorter, df filled DEFAULT 6, p pair, lsn pg_lsn, x8 xid8, x4 xid, ct tid, jp jsonpath, rc regclass, rty regtype,
    sn pg_snapshot, iv int2vector, ov oidvector
);
CREATE TABLE needed (
    id int PRIMARY KEY, t text NOT NULL, v varchar(5) NOT NULL, c char(5) NOT NULL, ci citext NOT NULL, by bytea NOT NULL, u uuid NOT NULL,
    j json NOT NULL, jb jsonb NOT NULL, x xml NOT NULL, i inet NOT NULL, tv tsvector NOT NULL, m mood NOT NULL, h hstore NOT NULL, lt ltree NOT NULL,
    r4 int4range NOT NULL, dp price NOT NULL, ds short NOT NULL, df filled
);
CREATE TABLE defaults (
    id int PRIMARY KEY, t text NOT NULL DEFAULT 'it''s', v varchar(5) DEFAULT 'ab', c char(5) DEFAULT 'c', ci citext DEFAULT 'Ci', by bytea DEFAULT '\x00ff',
    u uuid DEFAULT '00000000-0000-0000-0000-000000000001', ug uuid NOT NULL DEFAULT gen_random_uuid(), j json DEFAULT '{"a": 1}', jb jsonb NOT NULL DEFAULT '{"a": 1}',
    x xml DEFAULT '<a/>', i inet DEFAULT '10.0.0.1', tv tsvector DEFAULT 'a', m mood NOT NULL DEFAULT 'sad', h hstore DEFAULT 'a=>1', lt ltree DEFAULT 'a.b',
    r4 int4range DEFAULT '[1,2)', dp price DEFAULT 1.5, ds short DEFAULT 'd', tn text DEFAULT NULL, cu text DEFAULT current_user, up text DEFAULT upper('x'),
    te text DEFAULT '', tb text DEFAULT E'a\\b\n"c"', ta text[] DEFAULT '{a,b}', na int[] NOT NULL DEFAULT '{}'
);
INSERT INTO nullable (id, df) VALUES (1, 1);
INSERT INTO nullable VALUES (2, 'größe 😀', 'abcde', 'ab', 'x', 'a name', 'MiXed', '\x00ff10', '00000000-0000-0000-0000-000000000001', '{"a": 1.10, "a":2,   "b":[null, true]}', '{"b": 1.10, "a": {"x": [1, 2.000]}}', '<a b="c">d</a>',
    '192.168.0.1', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', 'a fat:2A cat:3', 'fat & !(rat | cat:AB)', 'it''s "ok"', 'a=>1, "b c"=>NULL, d=>"\""', 'top.science', '*.a', '978-0-393-04002-9', '978-0-11-000222-4',
    '[1,5)', '[,5)', '[1.10,2.20]', '[2026-01-01 00:00, infinity)', '["2026-01-01 00:00+02",)', '[2026-01-01,2026-02-01)', '{[1,3),[5,9)}',
    1.5, 'd', 'dd', 3, ROW(1, 'x, "y"'), '16/B374D848', '18446744073709551615', '4294967295', '(4294967295,65535)', '$.a[*] ? (@ > 1)', 'pg_class', 'integer',
    '10:20:10,14,15', '1 2 3', '1 4294967295');
INSERT INTO needed VALUES (1, '', '', '', '', '', '00000000-0000-0000-0000-000000000001', 'null', 'null', '<a/>', '::1', '', 'sad', '', 'a', 'empty', 0, '', 1);
INSERT INTO defaults (id, ug) VALUES (1, '00000000-0000-0000-0000-000000000002');
-- step
INSERT INTO nullable (id, df) VALUES (11, 1);
INSERT INTO nullable VALUES (12, 'größe 😀', 'abcde', 'ab', 'x', 'a name', 'MiXed', '\x00ff10', '00000000-0000-0000-0000-000000000001', '{"a": 1.10, "a":2,   "b":[null, true]}', '{"b": 1.10, "a": {"x": [1, 2.000]}}', '<a b="c">d</a>',
    '192.168.0.1', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', 'a fat:2A cat:3', 'fat & !(rat | cat:AB)', 'it''s "ok"', 'a=>1, "b c"=>NULL, d=>"\""', 'top.science', '*.a', '978-0-393-04002-9', '978-0-11-000222-4',
    '[1,5)', '[,5)', '[1.10,2.20]', '[2026-01-01 00:00, infinity)', '["2026-01-01 00:00+02",)', '[2026-01-01,2026-02-01)', '{[1,3),[5,9)}',
    1.5, 'd', 'dd', 3, ROW(1, 'x, "y"'), '16/B374D848', '18446744073709551615', '4294967295', '(4294967295,65535)', '$.a[*] ? (@ > 1)', 'pg_class', 'integer',
    '10:20:10,14,15', '1 2 3', '1 4294967295');
INSERT INTO nullable (id, t, c, by, j, jb, i, m, h, r4, tv, c1) VALUES
    (13, E'tab\tnewline\nreturn\rbackslash\\quote"\x01\x1f\x7f\u2028\u2029/<>&''', '', '', ' [ ] ', '"text"', '2001:db8::/32', 'happy, really', '', 'empty', '', '\377'),
    (14, repeat('long ', 20), ' x', '\xfffefb', '1e400', '123456789012345678901234567890.5', '192.168.0.1/24', 'sad', '"a\\b"=>"c,d", "z"=>"", "ä"=>"größe"', '(,)', 'z:1 y:2', ''),
    (15, '', null, '\xdeadbeef00', 'null', 'null', 'fe80::1/128', null, 'b=>2, a=>1, aa=>3, NULL=>x', '[5,)', null, ' ');
INSERT INTO needed VALUES (2, '', '', '', '', '', '00000000-0000-0000-0000-000000000001', 'null', 'null', '<a/>', '::1', '', 'sad', '', 'a', 'empty', 0, '', 1);
INSERT INTO defaults (id, ug) VALUES (2, '00000000-0000-0000-0000-000000000002');
UPDATE defaults SET v = NULL, c = NULL, ci = NULL, by = NULL, u = NULL, j = NULL, x = NULL, i = NULL, tv = NULL, h = NULL, lt = NULL, r4 = NULL, dp = NULL, ds = NULL, cu = NULL, te = NULL, ta = NULL WHERE id = 2;
-- step
DELETE FROM needed WHERE id = 1;
DELETE FROM defaults WHERE id = 2;
