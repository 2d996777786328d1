//! The transforms of a connector. One of them is a format here: ExtractNewRecordState, alone and of every record, is
//! `format = "row"`. No other is run.

use tailwater_core::Error;
use tailwater_kafka::debezium;

use super::code;
use super::convert::{Conversion, Start, line, quoted};

const OTHERS: &str = "transforms are not run here. ExtractNewRecordState alone becomes format = \"row\"; for RegexRouter there is topic = \"…\" below [sink.kafka]; what else a transform does is for consumers. Then remove the property";
const UNPROVEN: &str = "flat rows do not tell how much Debezium has written beyond its offsets: start without offsets, with a first copy";
const ALWAYS: &str = "a format is that of every record: remove the property";
const FORMER: &str = "write delete.tombstone.handling.mode in its place, as Debezium 3 has it";

const EXTRACT: &str = "io.debezium.transforms.ExtractNewRecordState";

/// Options of releases before 3, which 3.6.3 passes over.
const FORMERLY: &[&str] = &["drop.tombstones", "delete.handling.mode"];

impl Conversion<'_> {
    /// The name of the one transform that is a format here.
    pub(super) fn flat_rows(&self) -> Option<&str> {
        let names = self.given.get("transforms").map(str::trim)?;
        let kind = self.given.get(&format!("transforms.{names}.type"))?;
        (kind.trim() == EXTRACT).then_some(names)
    }

    /// Refuses what cannot be carried over.
    pub(super) fn transforms(&mut self) {
        let given = self.given;
        let names = given.get("transforms").unwrap_or_default();
        let is_theirs = |name: &&String| {
            let (first, _) = name.split_once('.').unwrap_or((name, ""));
            first == "transforms" || first == "predicates"
        };
        let owned: Vec<&String> = given.entries.keys().filter(is_theirs).collect();
        let Some(flat) = self.flat_rows().map(|name| format!("transforms.{name}.")) else {
            for name in owned {
                match names.trim().is_empty() {
                    true => self.remark(name, "there are no transforms"),
                    false => self.refuse(name, OTHERS),
                }
            }
            return;
        };
        if self.start == Start::GoOn {
            self.refuse("transforms", UNPROVEN);
        }
        for name in owned {
            match name.strip_prefix(&flat) {
                Some("type") => {}
                Some("predicate" | "negate") => self.refuse(name, ALWAYS),
                Some(option) if FORMERLY.contains(&option) => self.refuse(name, FORMER),
                Some(option) if !debezium::Config::ROW_OPTIONS.contains(&option) => self.unknown(name),
                Some(_) => {}
                None if name == "transforms" => {}
                None => self.remark(name, "no transform uses it"),
            }
        }
    }

    /// Appends the options of the flat rows.
    pub(super) fn row_options(&mut self, text: &mut String) {
        let given = self.given;
        let Some(flat) = self.flat_rows().map(|name| format!("transforms.{name}.")) else { return };
        for (name, entry) in &given.entries {
            let option =
                name.strip_prefix(&flat).filter(|option| debezium::Config::ROW_OPTIONS.contains(option));
            let Some(option) = option else { continue };
            let value = match option {
                "delete.tombstone.handling.mode" => entry.value.trim().to_lowercase(),
                _ => entry.value.trim().to_owned(),
            };
            match debezium::Config::new("").set(option, &value) {
                // Some of the names begin with another one, which bare keys of TOML may not.
                Ok(()) => line(text, format_args!("{} = {}", quoted(option), quoted(&value))),
                Err(why) => self.bad_value(&entry.shown, &why),
            }
        }
    }

    fn unknown(&mut self, name: &str) {
        let shown = self.given.shown(name).to_owned();
        self.problems.push(
            Error::operator(
                code::UNKNOWN,
                format!("`{shown}` is no option that ExtractNewRecordState of 3.6.3 has"),
            )
            .remedy("correct its spelling, or remove it where it is of no use"),
        );
    }
}
