//! The demo, from its throw-away server to its proof, in a folder of its own.

use std::path::Path;

use tailwater_integration_tests::child;
use tailwater_integration_tests::mysql::Installation;

/// It ends well only where both sides are equal, after the pipeline was killed on the way.
fn proves(source: &str, installation: Installation) {
    installation.fetch();
    let folder = tempfile::tempdir().unwrap();
    // Where `scripts/fetch-mysql` puts servers is looked at from the checkout.
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut demo = child::command(&["demo", "--for", "3s", "--source", source, "--folder"]);
    let output = demo.arg(folder.path()).current_dir(checkout).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{}: {said}", output.status);
    assert_eq!(said.matches("  equal\n").count(), 6, "{said}");
    assert!(said.contains("kill -9"), "{said}");
    let log = std::fs::read_to_string(folder.path().join("tailwater.log")).unwrap();
    assert!(!log.contains("becomes text"), "{log}");
}

#[test]
fn the_demo_proves_mysql_and_its_copy_equal() {
    proves("mysql", Installation::mysql97());
}

#[test]
fn the_demo_proves_mariadb_and_its_copy_equal() {
    proves("mariadb", Installation::mariadb118());
}
