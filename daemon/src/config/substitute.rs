//! `${env:NAME}` and `${file:PATH}` inside strings, so that secrets need not stand in the pipeline file.
//! The complaints name the reference, never what it stands for.

use std::collections::BTreeMap;
use std::path::Path;

use tailwater_transport::url::encode;

use super::document::{close, nearest};

/// Environment variables by name.
pub(crate) type Variables = BTreeMap<String, String>;

/// Where references are looked up. Relative paths start at the folder of the pipeline file.
pub(super) struct Lookup<'a> {
    pub(super) env: &'a Variables,
    pub(super) folder: &'a Path,
}

/// A reference that leads nowhere.
#[derive(Debug)]
pub(super) struct Trouble {
    /// As written, to find its place: `${env:PGPASSWORD}`.
    pub(super) reference: String,
    pub(super) message: String,
    pub(super) remedy: String,
}

/// Replaces every reference in `text`; `$${` stands for a plain `${`. In a `url`, what goes before the `@` is
/// percent-encoded, so that a password may hold any character.
pub(super) fn substitute(text: &str, url: bool, lookup: &Lookup<'_>) -> Result<String, Trouble> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(plain) = before.strip_suffix('$') {
            result.push_str(plain);
            result.push_str("${");
            rest = after;
            continue;
        }
        result.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            return Err(Trouble {
                reference: "${".to_owned(),
                message: "`${` is not closed".to_owned(),
                remedy: "write ${env:NAME} or ${file:PATH}; for a plain `${` write `$${`".to_owned(),
            });
        };
        let value = find(name, lookup)?;
        let secret =
            url && result.contains("://") && after.split('/').next().is_some_and(|part| part.contains('@'));
        result.push_str(&if secret { encode(&value) } else { value });
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

fn find(name: &str, lookup: &Lookup<'_>) -> Result<String, Trouble> {
    let trouble =
        |message: String, remedy: String| Trouble { reference: format!("${{{name}}}"), message, remedy };
    match name.split_once(':') {
        Some(("env", variable)) => lookup.env.get(variable).cloned().ok_or_else(|| {
            let set = close(variable, lookup.env.keys().map(String::as_str));
            let hint = set.map(|set| format!(", but {set} is")).unwrap_or_default();
            trouble(
                format!("the environment variable {variable} is not set{hint}"),
                format!("export {variable}=…, or write a plain `${{` as `$${{`"),
            )
        }),
        Some(("file", path)) => {
            let path = lookup.folder.join(path);
            let text = std::fs::read_to_string(&path).map_err(|error| {
                trouble(
                    format!("read {}: {error}", path.display()),
                    format!("create {} readable by this user", path.display()),
                )
            })?;
            Ok(text
                .strip_suffix('\n')
                .map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line))
                .to_owned())
        }
        Some((kind, _)) => Err(trouble(
            format!("unknown reference `${{{kind}:…}}`; {}", nearest(kind, &["env", "file"])),
            "write ${env:NAME} or ${file:PATH}; for a plain `${` write `$${`".to_owned(),
        )),
        None => Err(trouble(
            format!("`${{{name}}}` does not say what it refers to"),
            format!("write ${{env:{name}}} or ${{file:{name}}}; for a plain `${{` write `$${{`"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, url: bool) -> String {
        let env = Variables::from([("SECRET".to_owned(), "p@ss/w%".to_owned())]);
        let lookup = Lookup { env: &env, folder: Path::new("/nonexistent") };
        substitute(text, url, &lookup)
            .unwrap_or_else(|trouble| format!("{}: {}", trouble.reference, trouble.message))
    }

    #[test]
    fn replaces_escapes_and_encodes_only_what_goes_before_the_at_sign_of_a_url() {
        assert_eq!(check("a${env:SECRET}b$${x}", false), "ap@ss/w%b${x}");
        assert_eq!(
            check("postgres://me:${env:SECRET}@h/d?x=${env:SECRET}", true),
            "postgres://me:p%40ss%2Fw%25@h/d?x=p@ss/w%"
        );
        assert_eq!(check("${env:SECRET}", true), "p@ss/w%");
    }

    #[test]
    fn says_which_reference_leads_nowhere() {
        assert_eq!(check("${env:NOPE}", false), "${env:NOPE}: the environment variable NOPE is not set");
        assert_eq!(
            check("${env:SECERT}", false),
            "${env:SECERT}: the environment variable SECERT is not set, but SECRET is"
        );
        assert_eq!(check("x${emv:A}", false), "${emv:A}: unknown reference `${emv:…}`; did you mean `env`?");
        assert_eq!(check("x${A}", false), "${A}: `${A}` does not say what it refers to");
        assert_eq!(check("x${env:A", false), "${: `${` is not closed");
        assert!(check("${file:f}", false).starts_with("${file:f}: read /nonexistent/f: "));
    }

    #[test]
    fn reads_a_file_without_its_last_line_end() {
        let folder = tempfile::tempdir().unwrap();
        tailwater_core::checkpoint::replace_file(&folder.path().join("password"), b"two words\n").unwrap();
        let lookup = Lookup { env: &Variables::new(), folder: folder.path() };
        assert_eq!(substitute("${file:password}", false, &lookup).unwrap(), "two words");
    }
}
