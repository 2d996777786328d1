//! Events as the log sends them to events as `assemble` wants them: checked, decoded, and taken out of what they are
//! packed in. The stream calls it; `scout` decodes only.

use std::ops::Range;

use tailwater_core::{Batch, Result};

use crate::assemble::{Assembler, Step};
use crate::binlog::compressed::Inflater;
use crate::binlog::decode::decode;
use crate::binlog::event::{Event, Format, Header, Query};
use crate::binlog::header::checked;
use crate::binlog::payload::PayloadReader;
use crate::binlog::plan::Plan;

/// Decodes the events of a file, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// Of the file that is read; `None` until it is told.
    format: Option<Format>,
    inflater: Inflater,
    inflated: Vec<u8>,
}

impl Decoder {
    /// Without its checksum, which matches.
    ///
    /// # Errors
    /// As [`checked`].
    pub(crate) fn checked<'e>(&self, event: &'e [u8]) -> Result<&'e [u8]> {
        checked(event, self.format.as_ref())
    }

    /// What a checked event says; what MariaDB compressed is inflated.
    ///
    /// # Errors
    /// `Data` for what is broken or not known.
    #[allow(clippy::wildcard_enum_match_arm, reason = "what is not packed goes on as it is")]
    pub(crate) fn decode<'e>(&'e mut self, event: &'e [u8]) -> Result<(Header, Event<'e>)> {
        let (header, event) = self.as_it_is(event)?;
        let event = match event {
            Event::CompressedQuery(body) => {
                Event::Query(Query::inflated(body, &mut self.inflater, &mut self.inflated)?)
            }
            Event::Rows(rows) => Event::Rows(rows.inflated(&mut self.inflater, &mut self.inflated)?),
            Event::Format(format) => {
                self.format = Some(format.clone());
                Event::Format(format)
            }
            other => other,
        };
        Ok((header, event))
    }

    /// What an event says that is packed in nothing more.
    fn as_it_is<'e>(&self, event: &'e [u8]) -> Result<(Header, Event<'e>)> {
        let unknown = Format::unknown();
        decode(event, self.format.as_ref().unwrap_or(&unknown))
    }
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Unpacker {
    decoder: Decoder,
    payload: PayloadReader,
    /// Where in its event the payload stands that is walked: a batch may be full in its middle.
    content: Option<Range<usize>>,
}

impl Unpacker {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { decoder: Decoder::default(), payload: PayloadReader::new()?, content: None })
    }

    /// Applies an event as it came from the server.
    ///
    /// # Errors
    /// As [`Decoder::decode`], and those of the assembler.
    pub(crate) fn apply(
        &mut self,
        event: &[u8],
        assembler: &mut Assembler<Plan>,
        batch: &mut Batch,
    ) -> Result<Step> {
        let event = self.decoder.checked(event)?;
        let bytes = event.len();
        // Before anything can go wrong with it, so that what does names the right place.
        assembler.at(&Header::parse(event)?);
        let (header, event) = self.decoder.decode(event)?;
        if let Event::Payload(payload) = event {
            self.payload.begin(&payload)?;
            // Nothing stands behind it.
            self.content = Some(bytes - payload.content.len()..bytes);
            return Ok(Step::Continue);
        }
        assembler.apply(&header, &event, batch)
    }

    /// Whether a payload is walked: then the event it stands in is still needed.
    pub(crate) fn is_walking(&self) -> bool {
        self.content.is_some()
    }

    /// Applies the next event of the payload that is walked; `None` where there is none. `event` is what it stands in.
    ///
    /// # Errors
    /// As [`Unpacker::apply`].
    pub(crate) fn apply_inner(
        &mut self,
        event: &[u8],
        assembler: &mut Assembler<Plan>,
        batch: &mut Batch,
    ) -> Result<Option<Step>> {
        let Some(content) = self.content.clone() else { return Ok(None) };
        let Some(event) = self.payload.next_event(event.get(content).unwrap_or_default())? else {
            self.content = None;
            return Ok(None);
        };
        let (header, event) = self.decoder.as_it_is(event)?;
        assembler.apply(&header, &event, batch).map(Some)
    }
}
