-- run nanoseconds time.precision.mode=nanoseconds
-- setup
SET sql_mode = 'NO_ENGINE_SUBSTITUTION';
SET time_zone = '+00:00';
CREATE TABLE nullable (id int PRIMARY KEY, d date, t time, t6 time(6), dt datetime, dt6 datetime(6), ts timestamp(6) NULL, y year);
CREATE TABLE needed (id int PRIMARY KEY, d date NOT NULL, t time NOT NULL, dt datetime NOT NULL, ts timestamp NOT NULL DEFAULT '2026-01-01 00:00:00');
INSERT INTO nullable VALUES (1, '2026-11-21', '04:05:06', '-04:05:06.789', '2026-11-21 04:05:06', '2026-11-21 04:05:06.789012', '2026-11-21 04:05:06.789012', 2026);
-- step
INSERT INTO nullable VALUES (2, '2026-11-21', '838:59:59', '-838:59:58.999999', '2026-11-21 04:05:06', '2262-04-11 23:47:16.854775', '2026-11-21 04:05:06.789012', 0);
INSERT INTO nullable VALUES (3, '0000-00-00', '04:05:06', '-04:05:06.789', '0000-00-00 00:00:00', '0000-00-00', '0000-00-00', null);
INSERT INTO needed VALUES (3, '0000-00-00', '04:05:06', '0000-00-00 00:00:00', '0000-00-00');
