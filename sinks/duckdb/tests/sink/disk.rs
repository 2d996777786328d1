//! A disk that is full, in a process of its own: the limit holds for all files of a process.

use std::process::Command;

use tailwater_core::ErrorKind;

use crate::support::Do::Insert;
use crate::support::{Target, table};

/// Where the child process finds its file.
const FILE: &str = "TAILWATER_TEST_FILE_ON_A_FULL_DISK";

#[test]
fn a_full_disk_is_no_conflict_of_transactions() {
    if let Some(file) = std::env::var_os(FILE) {
        return fill(file.as_ref());
    }
    let folder = tempfile::tempdir().unwrap();
    // Ignored, the signal becomes an error of the write, as a full disk gives it. The unit is 512 bytes.
    let script = "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$@\"";
    let name = "disk::a_full_disk_is_no_conflict_of_transactions";
    let child = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(FILE, folder.path().join("t.duckdb"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

/// Writes until that fails.
fn fill(file: &std::path::Path) {
    let mut target = Target::at(file).unwrap();
    let t = table(1, "public.t", "1 id int4, 2 note text", 1);
    for id in 0..5_000_u32 {
        // Nothing that could be written in less room.
        let note: String =
            (0..500).map(|n| format!("{:08x}", (id * 500 + n).wrapping_mul(0x9E37_79B1))).collect();
        if let Err(error) = target.write(&[Insert(&t, &[&id.to_string(), &note])]) {
            assert_eq!((error.kind(), error.code()), (ErrorKind::Transient, "TW-DUCK-003"), "{error}");
            return;
        }
    }
    panic!("the disk is never full");
}
