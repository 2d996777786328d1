# The program in a small image: `docker build --tag tailwater .`, or `docker compose up --build` with docker-compose.yml.
# Compiler and system are pinned by tag; DuckDB's library by the checksum in scripts/duckdb.pin; crates by Cargo.lock.
# integration-tests/tests/containers.rs keeps the versions here equal to those of the project.

FROM rust:1.95.0-slim-bookworm AS build
# The image's own compiler, without the components that rust-toolchain.toml names for developers.
ENV RUSTUP_TOOLCHAIN=1.95.0 CARGO_PROFILE_RELEASE_STRIP=debuginfo
WORKDIR /source
# On its own, so that a change of the code does not fetch it all again.
COPY scripts scripts
RUN scripts/bootstrap npm && scripts/fetch-duckdb
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target \
    make install DESTDIR=/out PREFIX=/usr/local

FROM debian:12.12-slim
# The certificates of public authorities for TLS; DuckDB's library is C++.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --no-create-home --home-dir /var/lib/tailwater tailwater \
    && install -d -o tailwater -g tailwater /var/lib/tailwater
COPY --from=build /out /
COPY LICENSE /usr/local/share/doc/tailwater/
USER 10001:10001
# For sinks that keep a file (DuckDB). A Kafka sink keeps nothing here.
WORKDIR /var/lib/tailwater
VOLUME /var/lib/tailwater
# There is no HEALTHCHECK: what could be asked, `tailwater position FILE`, needs the name of a pipeline file.
# docker-compose.yml, which knows it, has one.
ENTRYPOINT ["tailwater"]
CMD ["run", "/etc/tailwater"]
