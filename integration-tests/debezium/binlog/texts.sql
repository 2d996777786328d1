-- run texts
-- run texts-base64 binary.handling.mode=base64
-- run texts-base64-url binary.handling.mode=base64-url-safe
-- run texts-hex binary.handling.mode=hex
-- setup
SET sql_mode = 'NO_ENGINE_SUBSTITUTION';
CREATE TABLE nullable (
    id int PRIMARY KEY, c char(5), v varchar(20), tt tinytext, t text, mt mediumtext, lt longtext, cl varchar(9) CHARACTER SET latin1,
    cu varchar(9) CHARACTER SET utf16, cj varchar(9) CHARACTER SET sjis, cb char(4) CHARACTER SET binary, nc nchar(3), vb varchar(9) COLLATE utf8mb4_bin,
    b binary(5), b1 binary(1), bv varbinary(9), tb tinyblob, bb blob, mb mediumblob, lb longblob,
    e enum('a', 'b,c', 'it''s "ok"', 'größe'), s set('x', 'y', 'größe', 'it''s'), j json
) CHARACTER SET utf8mb4;
CREATE TABLE needed (
    id int PRIMARY KEY, c char(5) NOT NULL, v varchar(20) NOT NULL, t text NOT NULL, b binary(5) NOT NULL, bv varbinary(9) NOT NULL, bb blob NOT NULL,
    e enum('a', 'b') NOT NULL, s set('x', 'y') NOT NULL, j json NOT NULL
) CHARACTER SET utf8mb4;
CREATE TABLE defaults (
    id int PRIMARY KEY, c char(5) NOT NULL DEFAULT 'ab', v varchar(20) DEFAULT 'it''s "ok"', ve varchar(9) DEFAULT '', vn varchar(9) DEFAULT NULL,
    b binary(5) DEFAULT 'ab', bv varbinary(9) NOT NULL DEFAULT 'xyz', e enum('a', 'b') NOT NULL DEFAULT 'b', s set('x', 'y') DEFAULT 'x,y',
    uu varchar(36) DEFAULT (uuid()), je json DEFAULT (json_object('a', 1)), te text DEFAULT ('long')
) CHARACTER SET utf8mb4;
CREATE TABLE vectors (id int PRIMARY KEY, ve vector(3), vn vector(2) NOT NULL);
CREATE TABLE places (
    id int PRIMARY KEY, g geometry, p point, l linestring, y polygon, mp multipoint, ml multilinestring, my multipolygon, gc geometrycollection, pn point NOT NULL, gn geometry NOT NULL
);
CREATE TABLE own (id int PRIMARY KEY, u uuid, un uuid NOT NULL); -- mariadb
CREATE TABLE hidden (id int PRIMARY KEY, a int, h int INVISIBLE DEFAULT 5);
INSERT INTO nullable (id) VALUES (1);
INSERT INTO nullable VALUES (2, 'größe', 'größe 😀', 'tiny', 'text', 'medium', 'long', 'größe', 'größe', 'テスト', 'ab', 'abc', 'X', 'ab', x'00', x'00ff10', x'ff', 'blob', x'', x'deadbeef00',
    'b,c', 'x,it''s', '{"a": 1.10, "b":[null, true], "größe": "😀", "e": 1e3, "n": 123456789012345678901234567890, "s": "a\\"b"}');
INSERT INTO needed VALUES (1, '', '', '', '', '', '', 'a', '', 'null');
INSERT INTO defaults (id, uu) VALUES (1, 'x');
INSERT INTO vectors VALUES (1, string_to_vector('[1,2.5,-0.1]'), string_to_vector('[0,3e20]')); -- mysql
INSERT INTO vectors VALUES (1, vec_fromtext('[1,2.5,-0.1]'), vec_fromtext('[0,300]')); -- mariadb
INSERT INTO places (id, g, p, pn, gn) VALUES (1, st_geomfromtext('POINT(1 2)'), st_geomfromtext('POINT(1.5 -2)'), st_geomfromtext('POINT(0 0)'), st_geomfromtext('LINESTRING(0 0,1 1)', 4326));
INSERT INTO own VALUES (1, '0d2f0000-0000-4000-8000-00000000ABCD', '0d2f0000-0000-4000-8000-00000000abcd'); -- mariadb
INSERT INTO hidden (id, a) VALUES (1, 1);
-- step
INSERT INTO nullable (id) VALUES (11);
INSERT INTO nullable VALUES (12, 'größe', 'größe 😀', 'tiny', 'text', 'medium', 'long', 'größe', 'größe', 'テスト', 'ab', 'abc', 'X', 'ab', x'00', x'00ff10', x'ff', 'blob', x'', x'deadbeef00',
    'b,c', 'x,it''s', '{"a": 1.10, "b":[null, true], "größe": "😀", "e": 1e3, "n": 123456789012345678901234567890, "s": "a\\"b"}');
INSERT INTO nullable (id, c, v, t, b, bv, bb, e, s, j) VALUES (13, ' x ', 'tab\tnewline\nreturn\rquote"\\</', concat('\0', char(1), char(31), char(127)), x'fffefb0000', x'fffefb', x'fffefb', 'größe', 'x,y,größe,it''s', 'null'),
    (14, '', '', '', '', '', '', 'nothing', '', '"text"'), (15, 'a', 'a', repeat('long ', 20), 'a', 'a', repeat(x'00', 30), 'it''s "ok"', 'y', '[]'),
    (16, null, null, null, null, null, null, 1, 3, '{"d": 0.1, "i": -1, "big": 18446744073709551615, "deep": {"x": [1, 2.000, {}]}, "e": ""}');
INSERT INTO nullable (id, j) VALUES (17, json_object('d', cast('2026-11-21' AS date), 't', cast('2026-11-21 04:05:06.5' AS datetime(6)), 'n', cast(1.50 AS decimal(10,2)), 'x', cast('12:00:01' AS time))); -- mysql
INSERT INTO needed VALUES (2, '', '', '', '', '', '', 'a', '', 'null');
INSERT INTO defaults (id, uu) VALUES (2, 'x');
UPDATE defaults SET v = NULL, ve = NULL, b = NULL, s = NULL, uu = NULL, je = NULL, te = NULL WHERE id = 2;
INSERT INTO vectors VALUES (2, string_to_vector('[1,2.5,-0.1]'), string_to_vector('[0,3e20]')), (3, NULL, string_to_vector('[1e-10,16777216]')); -- mysql
INSERT INTO vectors VALUES (2, vec_fromtext('[1,2.5,-0.1]'), vec_fromtext('[0,300]')), (3, NULL, vec_fromtext('[0.1,16777216]')); -- mariadb
INSERT INTO places VALUES (2, st_geomfromtext('POINT(1 2)', 4326), st_geomfromtext('POINT(1.5 -2)', 4326), st_geomfromtext('LINESTRING(0 0,1 1)'), st_geomfromtext('POLYGON((0 0,1 0,1 1,0 0))'), st_geomfromtext('MULTIPOINT(0 0,1 1)'),
    st_geomfromtext('MULTILINESTRING((0 0,1 1),(2 2,3 3))'), st_geomfromtext('MULTIPOLYGON(((0 0,1 0,1 1,0 0)))'), st_geomfromtext('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))'), st_geomfromtext('POINT(0 0)'), st_geomfromtext('POINT(0 0)'));
INSERT INTO own VALUES (2, '0d2f0000-0000-4000-8000-00000000ABCD', '0d2f0000-0000-4000-8000-00000000abcd'), (3, null, '00000000-0000-0000-0000-000000000000'), (4, null, 'ffffffff-ffff-ffff-ffff-ffffffffff00'); -- mariadb
INSERT INTO hidden (id, a) VALUES (2, 1);
-- step
DELETE FROM needed WHERE id = 1;
DELETE FROM defaults WHERE id = 2;
