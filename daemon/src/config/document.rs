//! One TOML file with its places: every value is asked for by key and type, and every complaint about it names
//! file, line and column. What the values mean is decided in `pipeline.rs`; nothing is touched here.

use std::ops::Range;
use std::path::{Path, PathBuf};

use tailwater_core::{Error, Result};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::code;
use super::substitute::{Lookup, substitute};

/// The text of one file and how to point into it.
#[derive(Debug, Clone)]
pub(super) struct Document {
    file: PathBuf,
    text: String,
}

/// A string of the file after substitution, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) value: String,
    pub(super) span: Range<usize>,
}

impl Document {
    pub(super) fn new(file: &Path, text: String) -> Self {
        Self { file: file.to_path_buf(), text }
    }

    /// The root table.
    pub(super) fn parse(&self) -> Result<Spanned<DeTable<'_>>> {
        DeTable::parse(&self.text).map_err(|error| {
            let message = error.message().replace('\n', ", ");
            let span = error.span().unwrap_or(0..0);
            let wrong = self.error(&span, code::NOT_TOML, message);
            if self.is_in_dotted_key(span.start) {
                // Debezium's names are such that one may be the beginning of another.
                return wrong.remedy(
                    "where one name is the beginning of another, put both in quotes: \"add.fields\" = …",
                );
            }
            wrong
        })
    }

    fn is_in_dotted_key(&self, place: usize) -> bool {
        let (before, behind) = self.text.split_at_checked(place).unwrap_or_default();
        let start = before.rsplit('\n').next().unwrap_or_default();
        let rest = behind.split(['=', '\n']).next().unwrap_or_default();
        let key = format!("{start}{rest}");
        key.contains('.') && !key.contains(['=', '"', '\'', '['])
    }

    /// An error at the start of `span`.
    pub(super) fn error(&self, span: &Range<usize>, code: &'static str, message: impl AsRef<str>) -> Error {
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Error::operator(code, format!("{}:{line}:{column}: {}", self.file.display(), message.as_ref()))
    }

    /// Whether a text refers to what it stands for.
    pub(super) fn is_reference(&self, text: &Text) -> bool {
        self.text.get(text.span.clone()).is_some_and(|written| written.contains("${"))
    }

    /// An error about the file as a whole.
    pub(super) fn error_in_file(&self, code: &'static str, message: impl AsRef<str>) -> Error {
        Error::operator(code, format!("{}: {}", self.file.display(), message.as_ref()))
    }

    /// Puts the place before an error that another crate found in the value at `span`. Keeps its code and remedy.
    pub(super) fn at(&self, span: &Range<usize>, error: &Error) -> Error {
        let placed = self.error(span, error.code(), error.message());
        match error.remedy_text() {
            Some(remedy) => placed.remedy(remedy),
            None => placed,
        }
    }

    /// The unescaped source text of a value.
    pub(super) fn raw(&self, span: &Range<usize>) -> &str {
        self.text.get(span.clone()).unwrap_or_default()
    }
}

/// A table of the file whose keys are all known.
pub(super) struct Section<'d> {
    document: &'d Document,
    lookup: &'d Lookup<'d>,
    /// As in the file's header: `source.postgres`; empty for the root.
    name: String,
    table: &'d DeTable<'d>,
    /// Where a missing key is to be complained about.
    pub(super) span: Range<usize>,
}

impl<'d> Section<'d> {
    /// The root of a document.
    ///
    /// # Errors
    /// `Operator` for the first key that is not `known`.
    pub(super) fn root(
        document: &'d Document,
        lookup: &'d Lookup<'d>,
        table: &'d Spanned<DeTable<'d>>,
        known: &[&str],
    ) -> Result<Self> {
        let root = Self { document, lookup, name: String::new(), table: table.get_ref(), span: 0..0 };
        root.refuse_unknown(known)?;
        Ok(root)
    }

    /// A table inside this one; `None` where it is not written.
    ///
    /// # Errors
    /// `Operator` where it is no table, or has a key that is not `known`.
    pub(super) fn table(&self, key: &str, known: &[&str]) -> Result<Option<Self>> {
        let Some((span, value)) = self.get(key) else {
            return Ok(None);
        };
        let DeValue::Table(table) = value.get_ref() else {
            let message =
                format!("`{key}` is {}; write [{}] above its settings", kind(value), self.path(key));
            return Err(self.document.error(&span, code::WRONG_TYPE, message));
        };
        let section =
            Self { document: self.document, lookup: self.lookup, name: self.path(key), table, span };
        section.refuse_unknown(known)?;
        Ok(Some(section))
    }

    /// The tables of a list (`[[sink.kafka.topics]]`); none where it is not written.
    ///
    /// # Errors
    /// `Operator` where it is no list of tables, or one has a key that is not `known`.
    pub(super) fn tables(&self, key: &str, known: &[&str]) -> Result<Vec<Self>> {
        let Some((span, value)) = self.get(key) else {
            return Ok(Vec::new());
        };
        let wrong = |span, value| {
            let message =
                format!("`{key}` is {}; write [[{}]] above its settings", kind(value), self.path(key));
            self.document.error(span, code::WRONG_TYPE, message)
        };
        let DeValue::Array(items) = value.get_ref() else {
            return Err(wrong(&span, value));
        };
        let mut sections = Vec::new();
        for item in items {
            let DeValue::Table(table) = item.get_ref() else {
                return Err(wrong(&item.span(), item));
            };
            let (document, lookup, name, span) = (self.document, self.lookup, self.path(key), item.span());
            let section = Self { document, lookup, name, table, span };
            section.refuse_unknown(known)?;
            sections.push(section);
        }
        Ok(sections)
    }

    /// Every key of a table whose keys are not ours to know, where it stands, and its value as text: strings after
    /// substitution, numbers and true or false as they are written.
    ///
    /// # Errors
    /// `Operator` where it is no table, or a value is something else.
    pub(super) fn entries(&self, key: &str) -> Result<Vec<(String, Range<usize>, Text)>> {
        let Some((span, value)) = self.get(key) else {
            return Ok(Vec::new());
        };
        let DeValue::Table(table) = value.get_ref() else {
            let message =
                format!("`{key}` is {}; write [{}] above its settings", kind(value), self.path(key));
            return Err(self.document.error(&span, code::WRONG_TYPE, message));
        };
        let mut entries = Vec::new();
        for (name, value) in table.iter() {
            let text = match value.get_ref() {
                DeValue::Table(_) => {
                    let message = format!("put the name in quotes: \"{}.…\" = \"…\"", name.get_ref());
                    return Err(self.document.error(&name.span(), code::WRONG_TYPE, message));
                }
                DeValue::String(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_) => self.plain(name.get_ref(), value)?,
            };
            entries.push((name.get_ref().to_string(), name.span(), text));
        }
        entries.sort_by_key(|(_, span, _)| span.start);
        Ok(entries)
    }

    /// As [`Section::entries`], of names with dots: as tables inside tables, which is what TOML makes of them, or in
    /// quotes.
    ///
    /// # Errors
    /// As [`Section::entries`]; and where a name is given twice.
    pub(super) fn dotted_entries(&self, key: &str) -> Result<Vec<(String, Range<usize>, Text)>> {
        let mut entries = Vec::new();
        if let Some((span, value)) = self.get(key) {
            let DeValue::Table(table) = value.get_ref() else {
                let message =
                    format!("`{key}` is {}; write [{}] above its settings", kind(value), self.path(key));
                return Err(self.document.error(&span, code::WRONG_TYPE, message));
            };
            self.flatten("", table, &mut entries)?;
        }
        entries.sort_by_key(|(_, span, _)| span.start);
        for (index, (name, span, _)) in entries.iter().enumerate() {
            if entries.iter().take(index).any(|(before, ..)| before == name) {
                return Err(self.document.error(span, code::BAD_VALUE, format!("`{name}` is there twice")));
            }
        }
        Ok(entries)
    }

    fn flatten(
        &self,
        above: &str,
        table: &DeTable<'_>,
        entries: &mut Vec<(String, Range<usize>, Text)>,
    ) -> Result<()> {
        for (name, value) in table {
            let (span, name) = (name.span(), format!("{above}{}", name.get_ref()));
            match value.get_ref() {
                DeValue::Table(inside) => self.flatten(&format!("{name}."), inside, entries)?,
                DeValue::String(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_) => {
                    let text = self.plain(&name, value)?;
                    entries.push((name, span, text));
                }
            }
        }
        Ok(())
    }

    /// A string after substitution, a number or true or false as they are written.
    fn plain(&self, name: &str, value: &Spanned<DeValue<'_>>) -> Result<Text> {
        match value.get_ref() {
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => {
                let span = value.span();
                Ok(Text { value: self.document.raw(&span).to_owned(), span })
            }
            DeValue::String(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                self.text(name, value)
            }
        }
    }

    /// A complaint about the value of `key`.
    pub(super) fn error(&self, key: &str, code: &'static str, message: &str) -> Error {
        self.document.error(&self.place_of(key), code, message)
    }

    /// Refuses a table that holds several of `kinds`, or none.
    ///
    /// # Errors
    /// `Operator` at the second one, or at this table.
    pub(super) fn exactly_one_of(&self, kinds: &[&str]) -> Result<()> {
        let mut written: Vec<_> =
            kinds.iter().filter_map(|kind| self.get(kind)).map(|(span, _)| span).collect();
        written.sort_by_key(|span| span.start);
        let (span, message) = match written.as_slice() {
            [_] => return Ok(()),
            [] => (&self.span, format!("[{}] names no kind; there may be {}", self.name, list(kinds))),
            [_, second, ..] => (second, format!("a second {}: a pipeline has exactly one", self.name)),
        };
        Err(self.document.error(span, code::MISSING, message))
    }

    /// Where `key` is written, or else this section.
    pub(super) fn place_of(&self, key: &str) -> Range<usize> {
        self.get(key).map_or_else(|| self.span.clone(), |(span, _)| span)
    }

    /// A string after substitution; `None` where it is not written.
    ///
    /// # Errors
    /// `Operator` where it is no string, or names a variable or file that does not exist.
    pub(super) fn string(&self, key: &str) -> Result<Option<Text>> {
        match self.get(key) {
            Some((_, value)) => self.text(key, value).map(Some),
            None => Ok(None),
        }
    }

    /// A string that must be there; `example` shows what to write.
    ///
    /// # Errors
    /// As [`Section::string`], and where it is missing.
    pub(super) fn required(&self, key: &str, example: &str) -> Result<Text> {
        self.string(key)?.ok_or_else(|| {
            self.document
                .error(&self.span, code::MISSING, format!("[{}] lacks `{key}`", self.name))
                .remedy(format!("write below [{}]: {key} = {example}", self.name))
        })
    }

    /// A list of strings; `None` where it is not written.
    ///
    /// # Errors
    /// `Operator` where it is no list of strings.
    pub(super) fn strings(&self, key: &str, example: &str) -> Result<Option<Vec<Text>>> {
        let Some((_, value)) = self.get(key) else {
            return Ok(None);
        };
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.wrong_type(key, value, &format!("a list of strings: {key} = {example}")));
        };
        items.iter().map(|item| self.text(key, item)).collect::<Result<_>>().map(Some)
    }

    /// A whole number within `range`.
    ///
    /// # Errors
    /// `Operator` where it is none, or outside.
    pub(super) fn integer(&self, key: &str, range: std::ops::RangeInclusive<u64>) -> Result<Option<u64>> {
        let Some((_, value)) = self.get(key) else {
            return Ok(None);
        };
        let DeValue::Integer(integer) = value.get_ref() else {
            return Err(self.wrong_type(key, value, "a whole number"));
        };
        match u64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            Ok(_) | Err(_) => {
                let message =
                    format!("`{key}` is {integer}, but may be {} to {}", range.start(), range.end());
                Err(self.document.error(&value.span(), code::BAD_VALUE, message))
            }
        }
    }

    /// A string that `parse` understands (units, kinds); its complaint gets the place.
    ///
    /// # Errors
    /// `Operator` where it is no string or `parse` refuses it.
    pub(super) fn parsed<T>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>> {
        let Some((_, value)) = self.get(key) else {
            return Ok(None);
        };
        if matches!(value.get_ref(), DeValue::Integer(_))
            && let Err(why) = parse(self.document.raw(&value.span()))
        {
            return Err(self.document.error(&value.span(), code::BAD_VALUE, format!("`{key}` {why}")));
        }
        let text = self.text(key, value)?;
        parse(&text.value)
            .map(Some)
            .map_err(|why| self.document.error(&text.span, code::BAD_VALUE, format!("`{key}` {why}")))
    }

    fn text(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<Text> {
        let DeValue::String(string) = value.get_ref() else {
            return Err(self.wrong_type(key, value, "a string, in quotes"));
        };
        let span = value.span();
        let value = substitute(string, key == "url", self.lookup).map_err(|trouble| {
            let start =
                self.document.raw(&span).find(&trouble.reference).map_or(span.start, |at| span.start + at);
            let error = self.document.error(&(start..span.end), code::SUBSTITUTION, &trouble.message);
            error.remedy(trouble.remedy)
        })?;
        Ok(Text { value, span })
    }

    fn wrong_type(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) -> Error {
        let message = format!("`{key}` is {}, but must be {wanted}", kind(value));
        self.document.error(&value.span(), code::WRONG_TYPE, message)
    }

    /// The span of the key, and its value.
    fn get(&self, key: &str) -> Option<(Range<usize>, &'d Spanned<DeValue<'d>>)> {
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(name, value)| (name.span(), value))
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// The unknown key that stands first in the file.
    fn refuse_unknown(&self, known: &[&str]) -> Result<()> {
        let unknown = self.table.iter().filter(|(key, _)| !known.contains(&key.get_ref().as_ref()));
        let Some((key, value)) = unknown.min_by_key(|(key, _)| key.span().start) else {
            return Ok(());
        };
        let name = key.get_ref();
        let what = match value.get_ref() {
            DeValue::Table(_) => format!("unknown section [{}]", self.path(name)),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => format!("unknown key `{name}`{}", self.place()),
        };
        let message = format!("{what}; {}", nearest(name, known));
        Err(self.document.error(&key.span(), code::UNKNOWN_KEY, message))
    }

    fn place(&self) -> String {
        if self.name.is_empty() { " at the top".to_owned() } else { format!(" in [{}]", self.name) }
    }
}

fn kind(value: &Spanned<DeValue<'_>>) -> &'static str {
    match value.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// What a word stands for.
pub(super) fn choice<T: Copy>(word: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let found = choices.iter().find(|(name, _)| *name == word);
    found.map(|(_, meaning)| *meaning).ok_or_else(|| format!("is {word:?}; {}", nearest(word, &names)))
}

/// What was meant, where one choice is close; all choices otherwise.
pub(super) fn nearest(written: &str, choices: &[&str]) -> String {
    match close(written, choices.iter().copied()) {
        Some(choice) => format!("did you mean `{choice}`?"),
        None => format!("there may be {}", list(choices)),
    }
}

/// The choice that differs least from what was written, unless all differ too much.
pub(super) fn close<'c>(written: &str, choices: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let written = written.to_lowercase();
    choices
        .map(|choice| (strsim::damerau_levenshtein(&written, &choice.to_lowercase()), choice))
        .filter(|(distance, choice)| *distance <= choice.len().max(3) / 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, choice)| choice)
}

/// `a`, `b` or `c`.
pub(super) fn list(choices: &[&str]) -> String {
    let quoted: Vec<_> = choices.iter().map(|choice| format!("`{choice}`")).collect();
    match quoted.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}
