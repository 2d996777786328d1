-- run numbers
-- run numbers-string decimal.handling.mode=string bigint.unsigned.handling.mode=precise
-- run numbers-double decimal.handling.mode=double
-- setup
SET sql_mode = 'NO_ENGINE_SUBSTITUTION';
CREATE TABLE nullable (
    id int PRIMARY KEY, b boolean, t1 tinyint(1), t tinyint, tu tinyint unsigned, s smallint, su smallint unsigned,
    m mediumint, mu mediumint unsigned, i int, iu int unsigned, l bigint, lu bigint unsigned, z int(7) unsigned zerofill,
    f float, fu float unsigned, f7 float(7,3), f53 float(53), d double, d8 double(8,2), r real,
    n decimal, n10 decimal(10,2), n38 decimal(38,10), n65 decimal(65,30), nu decimal(5,1) unsigned, n20 decimal(20,0),
    b1 bit, b4 bit(4), b8 bit(8), b20 bit(20), b64 bit(64), y year
);
CREATE TABLE needed (
    id bigint unsigned PRIMARY KEY AUTO_INCREMENT, b boolean NOT NULL, t tinyint NOT NULL, s smallint NOT NULL, m mediumint NOT NULL, i int NOT NULL,
    iu int unsigned NOT NULL, l bigint NOT NULL, lu bigint unsigned NOT NULL, f float NOT NULL, d double NOT NULL, n decimal(10,2) NOT NULL,
    b1 bit NOT NULL, b8 bit(8) NOT NULL, y year NOT NULL
);
CREATE TABLE defaults (
    id int PRIMARY KEY, b boolean NOT NULL DEFAULT true, bn boolean DEFAULT false, t tinyint NOT NULL DEFAULT 7, tu tinyint unsigned DEFAULT 255,
    s smallint NOT NULL DEFAULT -7, su smallint unsigned DEFAULT 65535, m mediumint DEFAULT -8388608, i int DEFAULT -4, iu int unsigned NOT NULL DEFAULT 4294967295,
    l bigint DEFAULT 9223372036854775807, lu bigint unsigned NOT NULL DEFAULT 18446744073709551615, z int(7) unsigned zerofill DEFAULT 12,
    f float DEFAULT 1.5, d double NOT NULL DEFAULT 0.1, r double DEFAULT 1e20, n decimal DEFAULT 12, n10 decimal(10,2) NOT NULL DEFAULT 3.14, n4 decimal(12,4) DEFAULT 1.5,
    b1 bit DEFAULT b'1', b4 bit(4) DEFAULT b'0101', b20 bit(20) NOT NULL DEFAULT b'100000000001', y year DEFAULT 2026, y0 year NOT NULL DEFAULT 0,
    computed int DEFAULT (1 + 1), dn int DEFAULT NULL, g int GENERATED ALWAYS AS (i + 1) STORED, v int GENERATED ALWAYS AS (i + 2) VIRTUAL
);
INSERT INTO nullable (id) VALUES (1);
INSERT INTO nullable VALUES (2, true, 1, -128, 0, -32768, 0, -8388608, 0, -2147483648, 0, -9223372036854775808, 0, 42,
    1.1, 0, 1234.567, 0.1, 0.1, 123456.78, 0.1, 9999999999, 99999999.99, '9999999999999999999999999999.9999999999', '12345678901234567890123456789012345.123456789012345678901234567890', 0.1, 99999999999999999999,
    b'1', b'0101', b'00000001', b'00000000000000000001', b'1000000000000000000000000000000000000000000000000000000000000001', 1901);
INSERT INTO needed VALUES (1, false, 127, 32767, 8388607, 2147483647, 4294967295, 9223372036854775807, 18446744073709551615, 1e10, 1e22, -1.10, b'0', b'11111111', 2155);
INSERT INTO defaults (id, y0) VALUES (1, 2001);
-- step
INSERT INTO nullable (id) VALUES (11);
INSERT INTO nullable VALUES (12, true, 1, -128, 0, -32768, 0, -8388608, 0, -2147483648, 0, -9223372036854775808, 0, 42,
    1.1, 0, 1234.567, 0.1, 0.1, 123456.78, 0.1, 9999999999, 99999999.99, '9999999999999999999999999999.9999999999', '12345678901234567890123456789012345.123456789012345678901234567890', 0.1, 99999999999999999999,
    b'1', b'0101', b'00000001', b'00000000000000000001', b'1000000000000000000000000000000000000000000000000000000000000001', 1901);
INSERT INTO nullable VALUES (13, false, 0, 127, 255, 32767, 65535, 8388607, 16777215, 2147483647, 4294967295, 9223372036854775807, 18446744073709551615, 1234567890,
    -1.1, 3.5, -9999.999, 1e300, -1.7976931348623157e308, -123456.78, 5e-324, -9999999999, -99999999.99, '-0.0000000001', '-99999999999999999999999999999999999.999999999999999999999999999999', 9999.9, -99999999999999999999,
    b'0', b'1111', b'10000000', b'11111111111111111111', b'1111111111111111111111111111111111111111111111111111111111111111', 2155);
INSERT INTO nullable VALUES (14, 2, 127, 0, 128, 0, 32768, 0, 8388608, 0, 2147483648, 0, 9223372036854775808, 0,
    16777216, 0.001, 0, 0, 0, 0, 1e15, 0, 0.05, 0, 0, 0, 0, b'0', b'0', b'0', b'0', b'0', 0);
INSERT INTO nullable (id, f, d, n10, n38) VALUES (15, 123456.7, 123456789012345680, -0.05, 128), (16, 3.4028235e38, 1e7, 1.28, -128), (17, 1e7, 1e-3, -1.28, 255),
    (18, 1e-4, 1e-4, 2.55, 256), (19, 9999999, 9999999, 1, -129), (20, 0.3, 0.30000000000000004, 327.67, 0.0000000001);
INSERT INTO needed VALUES (18446744073709551615, true, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, b'1', b'1', 0);
INSERT INTO defaults (id) VALUES (2);
INSERT INTO defaults (id, bn, tu, su, m, i, l, z, f, r, n, n4, b1, b4, y, computed) VALUES (3, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null);
-- step
DELETE FROM needed WHERE id = 1;
DELETE FROM defaults WHERE id = 2;
DELETE FROM nullable WHERE id = 11;
