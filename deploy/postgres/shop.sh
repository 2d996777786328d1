#!/bin/sh
# Run by the Postgres image in a new database: what Tailwater needs there, and two tables to see something with.
set -eu
psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --set=password="$TAILWATER_PASSWORD" <<'SQL'
CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, email text);
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer bigint NOT NULL REFERENCES customers,
    total numeric(12, 2) NOT NULL,
    placed timestamptz NOT NULL DEFAULT now()
);
INSERT INTO customers (name, email) SELECT 'customer ' || n, 'customer' || n || '@example.com' FROM generate_series(1, 100) n;
INSERT INTO orders (customer, total) SELECT 1 + n % 100, n * 1.25 FROM generate_series(1, 1000) n;

CREATE ROLE tailwater LOGIN REPLICATION PASSWORD :'password';
GRANT USAGE ON SCHEMA public TO tailwater;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO tailwater;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO tailwater;
CREATE PUBLICATION tailwater_shop FOR ALL TABLES WITH (publish_via_partition_root = true);
SQL
