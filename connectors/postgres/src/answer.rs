//! Fields of an answer of the catalogue, as what they are known to be. Not here: which statement asks for them.

use std::str::FromStr;

use tailwater_core::array::{Array, Token};
use tailwater_core::{Error, Result};

use crate::pgoutput::ReplicaIdentity;

/// One row of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a [Option<String>]);

impl<'a> Fields<'a> {
    pub(crate) fn optional(&self, index: usize) -> Option<&'a str> {
        self.0.get(index).and_then(Option::as_deref)
    }

    pub(crate) fn text(&self, index: usize) -> Result<&'a str> {
        self.optional(index).ok_or_else(|| self.strange(index))
    }

    pub(crate) fn number<N: FromStr>(&self, index: usize) -> Result<N> {
        let Ok(number) = self.text(index)?.parse() else {
            return Err(self.strange(index));
        };
        Ok(number)
    }

    /// `1,2,3`; NULL is none.
    pub(crate) fn numbers(&self, index: usize) -> Result<Vec<u32>> {
        let listed = self.optional(index).unwrap_or_default();
        let mut numbers = Vec::new();
        for number in listed.split(',').filter(|number| !number.is_empty()) {
            let Ok(number) = number.parse() else {
                return Err(self.strange(index));
            };
            numbers.push(number);
        }
        Ok(numbers)
    }

    /// An array without NULL or further dimensions; NULL is none.
    pub(crate) fn elements(&self, index: usize) -> Result<Vec<String>> {
        let Some(literal) = self.optional(index) else { return Ok(Vec::new()) };
        let mut elements = Vec::new();
        for token in Array::parse(literal.as_bytes())?.tokens() {
            if let Token::Element(element) = token? {
                elements.push(String::from_utf8_lossy(&element.text()).into_owned());
            }
        }
        Ok(elements)
    }

    pub(crate) fn flag(&self, index: usize) -> Result<bool> {
        match self.text(index)? {
            "t" => Ok(true),
            "f" => Ok(false),
            _ => Err(self.strange(index)),
        }
    }

    /// `relreplident`.
    pub(crate) fn identity(&self, index: usize) -> Result<ReplicaIdentity> {
        match self.text(index)? {
            "d" => Ok(ReplicaIdentity::Default),
            "n" => Ok(ReplicaIdentity::Nothing),
            "f" => Ok(ReplicaIdentity::Full),
            "i" => Ok(ReplicaIdentity::Index),
            _ => Err(self.strange(index)),
        }
    }

    /// The field is not what this version of the catalogue is known to give.
    pub(crate) fn strange(&self, index: usize) -> Error {
        let what = format!("field {} of an answer of the catalogue is not understood", index + 1);
        Error::operator("TW-PG-084", what)
            .remedy("this version of Postgres may be newer than this release knows: look for a newer release")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_fields_and_refuses_others() {
        let row: Vec<Option<String>> =
            ["7", "1,2", "t", "f", "x"].map(|text| Some(text.to_owned())).into_iter().chain([None]).collect();
        let fields = Fields(&row);
        assert_eq!(fields.number::<u32>(0).unwrap(), 7);
        assert_eq!(fields.numbers(1).unwrap(), [1, 2]);
        assert_eq!(fields.numbers(5).unwrap(), [0_u32; 0]);
        assert!(fields.flag(2).unwrap() && !fields.flag(3).unwrap());
        assert_eq!(fields.identity(3).unwrap(), ReplicaIdentity::Full);
        assert_eq!(fields.optional(5), None);
        let strange = [
            fields.text(5).map(drop),
            fields.text(6).map(drop),
            fields.number::<u32>(4).map(drop),
            fields.numbers(4).map(drop),
            fields.flag(4).map(drop),
            fields.identity(4).map(drop),
        ];
        assert!(
            strange.iter().all(|outcome| outcome.as_ref().is_err_and(|error| error.code() == "TW-PG-084"))
        );
    }
}
