# The whole of it: `make demo` to see it work, `make test` to prove it. Everything else is cargo.
.NOTPARALLEL:
.PHONY: help demo test bench build install fmt lint deny fuzz prepare

# What is set on the command line is meant for us; the crates that run make themselves would install below DESTDIR.
MAKEOVERRIDES =
unexport DESTDIR PREFIX

CARGO ?= cargo
FOR ?= 30s
SOURCE ?= postgres
FUZZ_SECONDS ?= 10
PREFIX ?= /usr/local

help:            ## This list
	@sed -n 's/^\([a-z]*\): *.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

demo: prepare    ## Watch a database being copied and followed into DuckDB (SOURCE=postgres|mysql|mariadb FOR=30s)
	@case $(SOURCE) in mysql) scripts/fetch-mysql mysql97 ;; mariadb) scripts/fetch-mysql mariadb118 ;; esac || \
		echo "going on with what this machine has"
	$(CARGO) run --locked --profile demo --bin tailwater -- demo --source $(SOURCE) --for $(FOR)

test: prepare    ## Everything that proves the project, also against real servers
	@scripts/fetch-mysql
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) doc --locked --workspace --no-deps --document-private-items --quiet
	scripts/deny
	$(CARGO) test --locked --workspace
	scripts/fuzz $(FUZZ_SECONDS)

bench: build     ## Measure side by side with pg_recvlogical, COPY and Debezium
	scripts/bootstrap pgbench pg_recvlogical
	scripts/fetch-debezium
	$(CARGO) run --locked --release --package tailwater-benchmarks

build: prepare   ## The optimised program, target/release/tailwater
	$(CARGO) build --locked --release --bin tailwater

install: build   ## Program and DuckDB's library below PREFIX (/usr/local)
	install -D -m 755 "$${CARGO_TARGET_DIR:-target}/release/tailwater" "$(DESTDIR)$(PREFIX)/bin/tailwater"
	install -D -m 644 .deps/duckdb/libduckdb.* -t "$(DESTDIR)$(PREFIX)/lib"

fmt:             ## Format the code
	$(CARGO) fmt --all

lint: prepare    ## Clippy, with warnings as errors
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

deny:            ## Licences, sources and advisories of what we depend on
	scripts/deny

fuzz: prepare    ## Every decoder against random input, for FUZZ_SECONDS=10 each
	scripts/fuzz $(FUZZ_SECONDS)

prepare:
	@scripts/bootstrap
	@scripts/fetch-duckdb
