-- run times-nanoseconds time.precision.mode=nanoseconds
-- setup
CREATE TABLE nullable (
    id int PRIMARY KEY, d date, t time, t0 time(0), t3 time(3), t6 time(6), tz timetz, tz3 timetz(3),
    ts timestamp, ts0 timestamp(0), ts3 timestamp(3), ts6 timestamp(6), tstz timestamptz, tstz0 timestamptz(0), tstz3 timestamptz(3),
    i interval, i3 interval day to second(3)
);
CREATE TABLE needed (
    id int PRIMARY KEY, d date NOT NULL, t time NOT NULL, t3 time(3) NOT NULL, tz timetz NOT NULL, ts timestamp NOT NULL,
    ts3 timestamp(3) NOT NULL, tstz timestamptz NOT NULL, i interval NOT NULL
);
CREATE TABLE defaults (
    id int PRIMARY KEY, d date NOT NULL DEFAULT '2026-11-21', t time NOT NULL DEFAULT '04:05:06.789', t3 time(3) DEFAULT '04:05:06.789',
    tz timetz NOT NULL DEFAULT '04:05:06.789-08', ts timestamp NOT NULL DEFAULT '2026-11-21 04:05:06.789', ts3 timestamp(3) DEFAULT '2026-11-21 04:05:06.789',
    tstz timestamptz NOT NULL DEFAULT '2026-11-21 04:05:06.789+05:30', i interval NOT NULL DEFAULT '1 day 02:03:04',
    now timestamptz NOT NULL DEFAULT '2026-11-21 04:05:06+00'::timestamptz, today date DEFAULT CURRENT_DATE, at timestamp DEFAULT now()
);
CREATE TABLE keys (d date, t time(3), ts timestamp, tstz timestamptz, PRIMARY KEY (d, t, ts, tstz));
INSERT INTO nullable VALUES (1);
INSERT INTO nullable VALUES (2, '2026-11-21', '04:05:06.789', '23:59:59', '04:05:06.789', '04:05:06.000001', '04:05:06.789-08', '04:05:06.789+05:30',
    '2026-11-21 04:05:06.789', '2026-11-21 04:05:06', '2026-11-21 04:05:06.789', '2026-11-21 04:05:06.789012', '2026-11-21 04:05:06.789+05:30',
    '2026-11-21 04:05:06+00', '2026-11-21 04:05:06.789+00', '1 year 2 months 3 days 04:05:06.789', '5 days 10:00:00.123');
INSERT INTO nullable (id, d, t, tz, ts, ts3, tstz, i) VALUES
    (3, '1970-01-01', '24:00:00', '24:00:00+00', 'infinity', '-infinity', 'infinity', '1 mon');
INSERT INTO needed VALUES (1, '2026-11-21', '04:05:06.789', '04:05:06.789', '04:05:06.789-08', '2026-11-21 04:05:06.789', '2026-11-21 04:05:06.789', '2026-11-21 04:05:06.789+05:30', '1 day');
INSERT INTO defaults (id, today, at) VALUES (1, '2026-01-01', '2026-01-01');
INSERT INTO keys VALUES ('2026-11-21', '04:05:06.789', '2026-11-21 04:05:06.789', '2026-11-21 04:05:06.789+05:30');
-- step
INSERT INTO nullable VALUES (11);
INSERT INTO nullable VALUES (12, '2026-11-21', '04:05:06.789', '23:59:59', '04:05:06.789', '04:05:06.000001', '04:05:06.789-08', '04:05:06.789+05:30',
    '2026-11-21 04:05:06.789', '2026-11-21 04:05:06', '2026-11-21 04:05:06.789', '2026-11-21 04:05:06.789012', '2026-11-21 04:05:06.789+05:30',
    '2026-11-21 04:05:06+00', '2026-11-21 04:05:06.789+00', '1 year 2 months 3 days 04:05:06.789', '5 days 10:00:00.123');
INSERT INTO nullable (id, d, t, tz, ts, ts3, tstz, i) VALUES
    (16, '1970-01-01', '04:05:06.7', '04:05:06+00', '1970-01-01 00:00:00', '1970-01-01 00:00:00', '1970-01-01 00:00:00+00', '0'),
    (17, '1969-12-31', '04:05:00', '04:05:00+00', '1969-12-31 23:59:59.999999', '1969-12-31 23:59:59.999', '1969-12-31 23:59:59.999999+00', '-1 year -2 mons +3 days -04:05:06.000001'),
    (18, '1900-03-01', '00:00:00.000001', '04:05:06.7+05:30', '1900-03-01 01:02:03', '1900-03-01 01:02:03.1', '2026-11-21 04:05:00+00', '00:00:00.000001'),
    (19, '2024-02-29', '00:00:00.1', '12:00:00-00:30', '2024-02-29 00:00:00.000001', '2024-02-29 00:00:00.01', '2026-11-21 04:05:06.7+00', '-00:00:01');
INSERT INTO needed VALUES (2, '2026-11-21', '04:05:06.789', '04:05:06.789', '04:05:06.789-08', '2026-11-21 04:05:06.789', '2026-11-21 04:05:06.789', '2026-11-21 04:05:06.789+05:30', '1 day');
INSERT INTO defaults (id, today, at) VALUES (2, '2026-01-01', '2026-01-01');
UPDATE defaults SET today = NULL, at = NULL, t3 = NULL, ts3 = NULL WHERE id = 2;
INSERT INTO keys VALUES ('2026-11-21', '04:05:07', '2026-11-21 04:05:06', '2026-11-21 04:05:06+00');
-- step
DELETE FROM defaults WHERE id = 2;
DELETE FROM keys;
