-- run numbers
-- run numbers-string decimal.handling.mode=string
-- run numbers-double decimal.handling.mode=double
-- setup
CREATE TABLE nullable (
    id int PRIMARY KEY, b boolean, i2 smallint, i4 integer, i8 bigint, o oid, f4 real, f8 double precision,
    n numeric, n10_2 numeric(10,2), n38_10 numeric(38,10), n38_0 numeric(38,0), n4 numeric(4), n60 numeric(60,30),
    n_negative numeric(3,-2), n_small numeric(3,5), m money,
    b1 bit, b4 bit(4), b20 bit(20), vb bit varying, vb1 bit varying(1), vb12 bit varying(12)
);
CREATE TABLE needed (
    id bigserial PRIMARY KEY, b boolean NOT NULL, i2 smallint NOT NULL, i4 integer NOT NULL, i8 bigint NOT NULL,
    f4 real NOT NULL, f8 double precision NOT NULL, n numeric NOT NULL, n10_2 numeric(10,2) NOT NULL, m money NOT NULL,
    b1 bit NOT NULL, b4 bit(4) NOT NULL, vb bit varying NOT NULL
);
CREATE TABLE defaults (
    id int PRIMARY KEY, b boolean NOT NULL DEFAULT true, i2 smallint NOT NULL DEFAULT 7, i4 integer DEFAULT -4,
    i8 bigint DEFAULT 9223372036854775807, o oid DEFAULT 5, f4 real DEFAULT 1.5, f8 double precision NOT NULL DEFAULT 0.1,
    n numeric DEFAULT 1.50, n10_2 numeric(10,2) NOT NULL DEFAULT 3.14, m money DEFAULT '12.34', b1 bit DEFAULT B'1',
    b4 bit(4) DEFAULT B'0101', vb bit varying DEFAULT B'011', computed int DEFAULT 1 + 1, called float8 DEFAULT random()
);
INSERT INTO nullable VALUES (1);
INSERT INTO nullable VALUES (2, true, -32768, -2147483648, -9223372036854775808, 0, 1.1, 0.1, 0, 0, '9999999999999999999999999999.9999999999',
    '99999999999999999999999999999999999999', 9999, '123456789012345678901234567890.123456789012345678901234567890', 99900, 0.00999,
    '-92233720368547758.08', B'1', B'0101', B'00000000000000000001', B'', B'1', B'100000000001');
INSERT INTO needed VALUES (0, false, 32767, 2147483647, 9223372036854775807, 1e10, 1e22, 1.10, -1.10, '12.34', B'0', B'1111', B'10101');
INSERT INTO defaults (id, called) VALUES (1, 0.5);
-- step
INSERT INTO nullable VALUES (11);
INSERT INTO nullable VALUES (12, true, -32768, -2147483648, -9223372036854775808, 0, 1.1, 0.1, 0, 0, '9999999999999999999999999999.9999999999',
    '99999999999999999999999999999999999999', 9999, '123456789012345678901234567890.123456789012345678901234567890', 99900, 0.00999,
    '-92233720368547758.08', B'1', B'0101', B'00000000000000000001', B'', B'1', B'100000000001');
INSERT INTO nullable VALUES (13, false, 32767, 2147483647, 9223372036854775807, 4294967295, 'NaN', 'NaN', 1.10, 99999999.99, '-9999999999999999999999999999.9999999999',
    -1, -9999, '-0.000000000000000000000000000001', -100, -0.00001, '12.34', B'0', B'0000', B'11111111111111111111', B'1', B'0', B'');
INSERT INTO nullable VALUES (14, null, 0, 0, 0, 2147483648, 'Infinity', 'Infinity', -0.0000, -99999999.99, 0.0000000001,
    128, 0, 0, 0, 0, '-0.01', null, B'1111', B'10000000000000000000', B'0', null, B'0');
INSERT INTO nullable VALUES (15, null, 1, 1, 1, 1, '-Infinity', '-Infinity', 1e100, 0.05, -128,
    -129, 255, 256, null, null, '92233720368547758.07', null, B'1000', B'00000001000000010000', B'01010101010101010101010101010101010101');
INSERT INTO nullable (id, f4, f8, n, n10_2, n38_0) VALUES
    (16, '-0', '-0', '1e-100', -0.05, 32767), (17, 1e-45, 5e-324, '12345678901234567890123456789012345678901234567890.123456789', 1.1, 32768),
    (18, 3.4028235e38, 1.7976931348623157e308, 0.10000, -1, -32768), (19, 1e6, 1e15, 255, 1, -32769),
    (20, 1e7, 1e7, -1, 2.55, 65535), (21, 1e-3, 1e-3, -128, 1.28, 16777216), (22, 1e-4, 1e-4, 128, -1.28, null),
    (23, 9999999, 9999999, 1000000, null, null), (24, 123456.7, 123456789012345680, 1e3, null, null),
    (25, 16777216, 0.30000000000000004, 1e20, null, null), (26, 1e16, 1e16, 0.001, null, null), (27, 2e-3, 2e-3, 1e-7, null, null),
    (28, 1e23, 1e23, 123.456e-5, null, null), (29, 9.999999e-4, 9.999999e-4, 1e7, null, null), (30, 100, 100, -1e-10, null, null),
    (31, 2e10, 2e10, 79228162514264337593543950335, null, null), (32, 4.35, 4.35, 4.35, 4.35, null);
INSERT INTO nullable (id, n, n10_2) VALUES (33, 'NaN', null);
INSERT INTO needed (b, i2, i4, i8, f4, f8, n, n10_2, m, b1, b4, vb) VALUES (true, 1, 2, 3, 4, 5, 6, 7, 8, B'1', B'0001', B'1');
INSERT INTO defaults (id, called) VALUES (2, 0.5);
INSERT INTO defaults (id, i4, i8, o, f4, n, m, b1, b4, vb, computed, called) VALUES (3, null, null, null, null, null, null, null, null, null, null, null);
-- step
DELETE FROM needed WHERE id = 0;
DELETE FROM defaults WHERE id = 2;
DELETE FROM nullable WHERE id = 11;
