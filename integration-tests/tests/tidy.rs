//! The house rules that a program can check. What breaks one is named with its file and line. The compiler, clippy
//! and rustfmt hold the others.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failure here is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 500;
/// Folders whose contents we did not write.
const NOT_OURS: [&str; 7] =
    [".git", ".deps", "target", "corpus", "artifacts", "demo-data", "proptest-regressions"];

struct File {
    /// Relative to the top of the checkout.
    path: PathBuf,
    text: String,
}

impl File {
    fn has_extension(&self, extension: &str) -> bool {
        self.path.extension().is_some_and(|found| found == extension)
    }

    fn is_test(&self) -> bool {
        self.path.components().any(|part| part.as_os_str() == "tests") || self.path.ends_with("tests.rs")
    }

    /// The lines before the tests inside the file, numbered from 1.
    fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut previous = "";
        self.numbered().take_while(move |(_, line)| {
            let starts_tests = previous == "#[cfg(test)]" && *line == "mod tests {";
            previous = line;
            !starts_tests
        })
    }

    fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Every text file of the project.
fn files() -> Vec<File> {
    fn collect(folder: &Path, files: &mut Vec<File>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                if !NOT_OURS.contains(&name.to_str().unwrap()) {
                    collect(&path, files);
                }
            } else if let Ok(text) = fs::read_to_string(&path) {
                files.push(File { path: path.strip_prefix(top()).unwrap().to_path_buf(), text });
            }
        }
    }
    let mut files = Vec::new();
    collect(&top(), &mut files);
    assert!(files.len() > 50, "only {} files are found: the walk is broken", files.len());
    files
}

fn rust_files() -> Vec<File> {
    files().into_iter().filter(|file| file.has_extension("rs")).collect()
}

/// Fails with everything that was found.
fn nothing(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

/// Words that must not occur in `files`, put together here so that this file does not hold them itself.
fn without(rule: &str, files: &[File], words: &[String]) {
    let mut found = Vec::new();
    for file in files {
        for (number, line) in file.numbered() {
            for word in words.iter().filter(|word| line.contains(*word)) {
                found.push(format!("{}:{number} has {word:?}", file.path.display()));
            }
        }
    }
    nothing(rule, &found);
}

#[test]
fn every_file_says_first_what_lives_in_it() {
    let silent: Vec<String> = rust_files()
        .iter()
        .filter(|file| !file.text.starts_with("//! ") || file.text.starts_with("//! To be written"))
        .map(|file| file.path.display().to_string())
        .collect();
    nothing("a file opens with `//!` and its purpose", &silent);
}

#[test]
fn no_file_grows_beyond_what_one_can_read() {
    let long: Vec<String> = rust_files()
        .iter()
        .filter(|file| !file.is_test() && file.production().count() >= LINES_MAX)
        .map(|file| format!("{} has {}", file.path.display(), file.production().count()))
        .collect();
    nothing("a file has fewer than 500 lines without its tests", &long);
}

#[test]
fn no_name_says_nothing() {
    let empty = ["util", "utils", "helper", "helpers", "manager", "common", "misc"];
    let found: Vec<String> = rust_files()
        .iter()
        .filter(|file| {
            let stems = file.path.with_extension("");
            stems.iter().any(|part| empty.contains(&part.to_str().unwrap()))
        })
        .map(|file| file.path.display().to_string())
        .collect();
    nothing("a file is named after what is in it", &found);
}

#[test]
fn nothing_is_left_for_later() {
    let words =
        [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["HA", "CK"], ["todo", "!("], ["unimpl", "emented!("]];
    without("what is to be done is an issue, not a comment", &rust_files(), &words.map(|word| word.concat()));
}

#[test]
fn no_test_is_switched_off() {
    let words = [["#[ign", "ore"], ["#[should", "_panic"]];
    without("a test runs, and says what it expects", &rust_files(), &words.map(|word| word.concat()));
}

#[test]
fn nothing_names_one_machine_or_one_mirror() {
    let ours: Vec<File> =
        files().into_iter().filter(|file| file.path.file_name().unwrap() != "Cargo.lock").collect();
    let words = [
        ["/ro", "ot/"],
        ["/ho", "me/"],
        ["/wo", "rk/"],
        ["/Us", "ers/"],
        ["registry.", "npmjs"],
        ["repo1.", "maven"],
        ["pypi.", "org"],
        ["index.", "crates.io"],
        ["static.", "crates.io"],
        ["deb.", "debian.org"],
        ["proxy.", "golang.org"],
    ];
    without(
        "paths are relative, and package tools know their own registries",
        &ours,
        &words.map(|word| word.concat()),
    );
}

#[test]
fn text_is_clean() {
    let mut found = Vec::new();
    for file in files() {
        for (number, line) in file.numbered() {
            let place = format!("{}:{number}", file.path.display());
            // The expected text of a test may well end with a blank.
            if line.ends_with([' ', '\t', '\r']) && !file.is_test() {
                found.push(format!("{place} ends with a blank"));
            }
            let rule_of_dashes = line.trim().strip_prefix("//").is_some_and(|rest| rest.contains("-----"));
            if file.has_extension("rs") && (rule_of_dashes || line.contains('\t')) {
                found.push(format!("{place} has a banner or a tab"));
            }
        }
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            found.push(format!("{} does not end its last line", file.path.display()));
        }
    }
    nothing("text is clean", &found);
}

#[test]
fn every_crate_has_the_licence_and_the_lints() {
    assert!(
        fs::read_to_string(top().join("LICENSE")).unwrap().contains("Apache License"),
        "LICENSE is not Apache's"
    );
    let mut found = Vec::new();
    for file in
        files().iter().filter(|file| file.path.ends_with("Cargo.toml") && file.text.contains("[package]"))
    {
        let licensed = ["license.workspace = true", "license = \"Apache-2.0\""];
        if !licensed.iter().any(|line| file.text.contains(line)) {
            found.push(format!("{} names no licence", file.path.display()));
        }
        // The fuzz targets are a workspace of their own.
        if !file.path.starts_with("fuzz") && !file.text.contains("[lints]\nworkspace = true") {
            found.push(format!("{} does not take the workspace's lints", file.path.display()));
        }
    }
    nothing("every crate has the licence and the lints", &found);
}

/// The `TW-…-nnn` in a text.
fn codes(text: &str) -> impl Iterator<Item = String> {
    text.match_indices("TW-").filter_map(|(start, _)| {
        let rest = &text[start + 3..];
        let area = rest.chars().take_while(char::is_ascii_uppercase).count();
        let digits = rest[area..].strip_prefix('-')?.chars().take_while(char::is_ascii_digit).count();
        (area > 0 && digits == 3).then(|| text[start..start + 3 + area + 4].to_owned())
    })
}

/// The error codes that the program can say: those outside of comments and tests.
fn codes_in_use() -> BTreeSet<String> {
    let product = rust_files()
        .into_iter()
        .filter(|file| !file.is_test() && !file.path.starts_with("integration-tests"));
    let mut found = BTreeSet::new();
    for file in product {
        let lines =
            file.production().map(|(_, line)| line).filter(|line| !line.trim_start().starts_with("//"));
        lines.for_each(|line| found.extend(codes(line)));
    }
    assert!(found.len() > 20, "only {} error codes are found: the search is broken", found.len());
    found
}

#[test]
fn every_error_code_is_documented_and_no_other() {
    let in_use = codes_in_use();
    let documented: BTreeSet<String> =
        codes(&fs::read_to_string(top().join("docs/OPERATING.md")).unwrap()).collect();
    let missing: Vec<String> = in_use.difference(&documented).cloned().collect();
    nothing("every error code is in docs/OPERATING.md", &missing);
    let unused: Vec<String> = documented.difference(&in_use).cloned().collect();
    nothing("docs/OPERATING.md tells of no code that nothing says", &unused);
}

/// The keys of the pipeline file: the string lists that its reader checks unknown keys against.
fn keys() -> BTreeSet<String> {
    let text = fs::read_to_string(top().join("daemon/src/config/pipeline.rs")).unwrap();
    let mut keys = BTreeSet::new();
    for list in text.split(": &[&str] =").skip(1) {
        let list = list.split("];").next().unwrap();
        keys.extend(list.split('"').skip(1).step_by(2).map(str::to_owned));
    }
    assert!(keys.len() > 10, "only {} keys are found: the search is broken", keys.len());
    keys
}

#[test]
fn every_setting_is_documented() {
    let operating = fs::read_to_string(top().join("docs/OPERATING.md")).unwrap();
    let missing: Vec<String> = keys().into_iter().filter(|key| !operating.contains(key)).collect();
    nothing("every key of the pipeline file is in docs/OPERATING.md", &missing);
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for file in files().iter().filter(|file| file.has_extension("md")) {
        for (number, line) in file.numbered() {
            for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let target = link.split('#').next().unwrap();
                let elsewhere = target.is_empty() || target.contains("://");
                if !elsewhere && !top().join(&file.path).parent().unwrap().join(target).exists() {
                    broken.push(format!("{}:{number} links to {link}", file.path.display()));
                }
            }
        }
    }
    nothing("links in the documents lead somewhere", &broken);
}
