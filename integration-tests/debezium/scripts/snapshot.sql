-- run snapshot
-- setup
CREATE SCHEMA other;
CREATE TABLE z (id int PRIMARY KEY);
CREATE TABLE empty (id int PRIMARY KEY);
CREATE TABLE other.a (id int PRIMARY KEY);
CREATE TABLE one (id int PRIMARY KEY);
CREATE TABLE "B" (id int PRIMARY KEY);
INSERT INTO z SELECT generate_series(1, 4);
INSERT INTO other.a SELECT generate_series(1, 3);
INSERT INTO one VALUES (1);
INSERT INTO "B" VALUES (1), (2);
-- step
INSERT INTO empty VALUES (1);
