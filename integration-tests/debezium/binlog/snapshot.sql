-- run snapshot
-- setup
CREATE TABLE z (id int PRIMARY KEY);
CREATE TABLE nobody (id int PRIMARY KEY);
CREATE TABLE one (id int PRIMARY KEY);
CREATE TABLE B (id int PRIMARY KEY);
INSERT INTO z VALUES (1), (2), (3), (4);
INSERT INTO one VALUES (1);
INSERT INTO B VALUES (1), (2);
-- step
INSERT INTO nobody VALUES (1);
