-- run moderate-connect time.precision.mode=connect
-- run moderate-iso time.precision.mode=isostring
-- setup
SET sql_mode = 'NO_ENGINE_SUBSTITUTION';
SET time_zone = '+00:00';
CREATE TABLE nullable (
    id int PRIMARY KEY, d date, t time, t3 time(3), t6 time(6), dt datetime, dt3 datetime(3), dt6 datetime(6), ts timestamp NULL, ts6 timestamp(6) NULL, y year
);
CREATE TABLE needed (
    id int PRIMARY KEY, d date NOT NULL, t time NOT NULL, dt datetime NOT NULL, dt6 datetime(6) NOT NULL, ts timestamp NOT NULL DEFAULT '2026-01-01 00:00:00'
);
CREATE TABLE defaults (
    id int PRIMARY KEY, d date NOT NULL DEFAULT '2026-11-21', t time NOT NULL DEFAULT '04:05:06', t6 time(6) DEFAULT '04:05:06.789', dt datetime NOT NULL DEFAULT '2026-11-21 04:05:06',
    dt6 datetime(6) DEFAULT '2026-11-21 04:05:06.789', ts timestamp NOT NULL DEFAULT '2026-11-21 04:05:06'
);
INSERT INTO nullable (id) VALUES (1);
INSERT INTO nullable VALUES (2, '2026-11-21', '04:05:06', '04:05:06.789', '04:05:06.000001', '2026-11-21 04:05:06', '2026-11-21 04:05:06.789', '2026-11-21 04:05:06.789012', '2026-11-21 04:05:06', '2026-11-21 04:05:06.789012', 2026);
INSERT INTO needed VALUES (1, '0000-00-00', '00:00:00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '0000-00-00 00:00:00');
INSERT INTO defaults (id) VALUES (1);
-- step
INSERT INTO nullable (id) VALUES (11);
INSERT INTO nullable VALUES (12, '2026-11-21', '04:05:06', '04:05:06.789', '04:05:06.000001', '2026-11-21 04:05:06', '2026-11-21 04:05:06.789', '2026-11-21 04:05:06.789012', '2026-11-21 04:05:06', '2026-11-21 04:05:06.789012', 2026);
INSERT INTO nullable VALUES (13, '9999-12-31', '23:59:59', '23:59:59.999', '23:59:59.999999', '9999-12-31 23:59:59', '9999-12-31 23:59:59.999', '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07', '2038-01-19 03:14:07.999999', 2155);
INSERT INTO nullable VALUES (14, '1000-01-01', '00:00:00', '00:00:00.1', '00:00:00.000001', '1000-01-01 00:00:00', '1969-12-31 23:59:59.999', '1969-12-31 23:59:59.999999', '1970-01-01 00:00:01', '1970-01-01 00:00:01.000001', 0);
INSERT INTO nullable (id, d, dt, dt6, ts) VALUES (15, '0000-00-00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '0000-00-00 00:00:00');
INSERT INTO needed VALUES (2, '0000-00-00', '00:00:00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '0000-00-00 00:00:00');
INSERT INTO defaults (id) VALUES (2);
