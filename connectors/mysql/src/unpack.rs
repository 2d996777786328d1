//! Events as the log sends them to events as `assemble` wants them: checked, decoded, and taken out of what they are
//! packed in. The stream calls it.

use std::ops::Range;

use tailwater_core::{Batch, Result};

use crate::assemble::{Assembler, Step};
use crate::binlog::compressed::Inflater;
use crate::binlog::decode::decode;
use crate::binlog::event::{Event, Format, Query};
use crate::binlog::header::checked;
use crate::binlog::payload::PayloadReader;
use crate::binlog::plan::Plan;

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Unpacker {
    /// Of the file that is read; `None` until it is told.
    format: Option<Format>,
    payload: PayloadReader,
    /// Where in its event the payload stands that is walked: a batch may be full in its middle.
    content: Option<Range<usize>>,
    inflater: Inflater,
    inflated: Vec<u8>,
}

impl Unpacker {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            format: None,
            payload: PayloadReader::new()?,
            content: None,
            inflater: Inflater::default(),
            inflated: Vec::new(),
        })
    }

    /// Applies an event as it came from the server.
    ///
    /// # Errors
    /// `Data` for what is broken or not known, and those of the assembler.
    #[allow(clippy::wildcard_enum_match_arm, reason = "what is not packed goes on as it is")]
    pub(crate) fn apply(
        &mut self,
        event: &[u8],
        assembler: &mut Assembler<Plan>,
        batch: &mut Batch,
    ) -> Result<Step> {
        let event = checked(event, self.format.as_ref())?;
        let bytes = event.len();
        let unknown = Format::unknown();
        let (header, event) = decode(event, self.format.as_ref().unwrap_or(&unknown))?;
        assembler.at(&header);
        match event {
            Event::Payload(payload) => {
                self.payload.begin(&payload)?;
                // Nothing stands behind it.
                self.content = Some(bytes - payload.content.len()..bytes);
                Ok(Step::Continue)
            }
            Event::CompressedQuery(body) => {
                let query = Query::inflated(body, &mut self.inflater, &mut self.inflated)?;
                assembler.apply(&header, &Event::Query(query), batch)
            }
            Event::Rows(rows) => {
                let rows = rows.inflated(&mut self.inflater, &mut self.inflated)?;
                assembler.apply(&header, &Event::Rows(rows), batch)
            }
            Event::Format(format) => {
                let event = Event::Format(format.clone());
                self.format = Some(format);
                assembler.apply(&header, &event, batch)
            }
            other => assembler.apply(&header, &other, batch),
        }
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
        let unknown = Format::unknown();
        let (header, event) = decode(event, self.format.as_ref().unwrap_or(&unknown))?;
        assembler.apply(&header, &event, batch).map(Some)
    }
}
