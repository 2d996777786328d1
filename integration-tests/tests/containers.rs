//! What the image and the composed stack say, against the rest of the project, so that they cannot rot unseen: versions,
//! paths, secrets, and the pipeline file, read by the program's own code. Neither is built or run here.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failure here is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tailwater::config::{self, Sink};

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn text(file: &str) -> String {
    fs::read_to_string(top().join(file)).unwrap()
}

/// What stands between `before` and `after`, wherever they do.
fn between<'t>(text: &'t str, before: &str, after: &str) -> Vec<&'t str> {
    text.split(before).skip(1).filter_map(|rest| rest.split(after).next()).map(str::trim).collect()
}

fn compose() -> String {
    text("docker-compose.yml")
}

/// The lines of one service, without comments.
fn service(name: &str) -> String {
    let compose = compose();
    let from = compose.lines().skip_while(|line| *line != format!("  {name}:")).skip(1);
    let lines = from.take_while(|line| line.is_empty() || line.starts_with("   "));
    let lines: Vec<&str> = lines.filter(|line| !line.trim_start().starts_with('#')).collect();
    assert!(lines.len() > 5, "there is no service {name}");
    lines.join("\n")
}

#[test]
fn the_image_is_built_with_the_compiler_of_the_project() {
    let (dockerfile, toolchain) = (text("Dockerfile"), text("rust-toolchain.toml"));
    let version = between(&toolchain, "channel = \"", "\"")[0];
    let named = between(&dockerfile, "FROM rust:", " ");
    assert_eq!(named, [format!("{version}-slim-bookworm")]);
    assert_eq!(between(&dockerfile, "RUSTUP_TOOLCHAIN=", " "), [version]);
    // What was linked against one system must find it where it runs.
    assert!(dockerfile.contains("\nFROM debian:12."), "bookworm is Debian 12");
}

#[test]
fn the_image_holds_the_pinned_library() {
    let (dockerfile, pin) = (text("Dockerfile"), text("scripts/duckdb.pin"));
    // The script that checks the checksum is the only way in, for the platform that images have.
    assert!(dockerfile.contains("scripts/fetch-duckdb"));
    assert!(pin.contains("\nLinux x86_64 "));
    let version = pin.split_whitespace().find(|word| word.contains("-r.")).unwrap();
    let version = version.split('-').next().unwrap();
    for file in ["Dockerfile", "docker-compose.yml"] {
        assert!(
            !text(file).contains(version),
            "{file} names DuckDB's version, which scripts/duckdb.pin does"
        );
        assert!(!text(file).contains("libduckdb"), "{file} fetches the library by itself");
    }
    assert!(
        text(".dockerignore").lines().any(|line| line == ".deps"),
        "a library of the host would be taken"
    );
}

#[test]
fn every_image_is_pinned_to_one_version() {
    let (dockerfile, compose) = (text("Dockerfile"), compose());
    let mut images: Vec<&str> = between(&dockerfile, "\nFROM ", "\n");
    images.extend(between(&compose, "    image: ", "\n"));
    assert_eq!(images.len(), 5, "{images:?}");
    for image in images {
        let tag = image.split_whitespace().next().unwrap().split(':').nth(1).unwrap_or_default();
        let numbers = tag.split(['-', ' ']).next().unwrap().split('.').count();
        assert!(tag == "local" || numbers >= 2, "{image} is not one version");
    }
    // The broker that the tests run.
    let tested = text("scripts/kafka.pom.xml");
    let tested = between(&tested, "<artifactId>kafka_2.13</artifactId>\n      <version>", "<")[0];
    assert!(
        service("kafka").contains(&format!("image: apache/kafka:{tested}\n")),
        "not {tested}, which is tested"
    );
}

#[test]
fn the_pipeline_file_is_right_and_fits_the_stack() {
    let service = service("tailwater");
    let given: BTreeMap<String, String> = between(&service, "\n      ", ": ${")
        .into_iter()
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
        .map(|name| (name.to_owned(), "a secret".to_owned()))
        .collect();
    // With nothing but the variables that the container is given.
    let pipeline = config::read_with(&top().join("deploy/pipelines/shop.toml"), &given).unwrap();
    let Sink::Kafka(kafka) = &pipeline.sink else { unreachable!("the stack has a Kafka") };
    let compose = compose();
    assert!(
        compose.contains(&format!("INTERNAL://{}", kafka.brokers)),
        "nobody listens on {}",
        kafka.brokers
    );
    let file = text("deploy/pipelines/shop.toml");
    assert!(file.contains("@postgres:5432/shop?") && compose.contains("POSTGRES_DB: shop"));
    let publication = between(&file, "publication = \"", "\"")[0];
    assert!(text("deploy/postgres/shop.sh").contains(&format!("CREATE PUBLICATION {publication} ")));
    assert!(
        service.contains(&format!("/etc/tailwater/{}.toml", pipeline.name)),
        "its health is not asked for"
    );
}

#[test]
fn the_stack_is_closed_to_the_outside_and_holds_no_secret() {
    let compose = compose();
    let ports: Vec<&str> =
        compose.lines().filter(|line| line.trim().ends_with("2\"")).map(str::trim).collect();
    assert_eq!(ports.len(), 2, "{ports:?}");
    assert!(ports.iter().all(|port| port.starts_with("- \"127.0.0.1:")), "{ports:?}");
    for line in compose.lines().filter(|line| line.contains("PASSWORD:")) {
        assert!(line.contains(": ${") && line.contains(":?"), "{line}");
    }
    for name in between(&compose, "- ./", ":") {
        assert!(top().join(name).exists(), "{name} is not there");
    }
    for line in text("deploy/example.env").lines().filter(|line| line.contains("PASSWORD")) {
        assert!(line.ends_with('='), "a password that everybody has: {line}");
    }
    assert!(text(".gitignore").lines().any(|line| line == "/.env"));
    let dockerfile = text("Dockerfile");
    let (_, last) = dockerfile.rsplit_once("\nFROM ").unwrap();
    let user = between(last, "\nUSER ", "\n");
    assert!(user.first().is_some_and(|user| !user.starts_with("0") && !user.starts_with("root")), "{user:?}");
    for name in ["postgres", "kafka", "tailwater"] {
        let service = service(name);
        for needed in ["healthcheck:", "restart: unless-stopped", "volumes:"] {
            assert!(service.contains(needed), "{name} has no {needed}");
        }
    }
}
