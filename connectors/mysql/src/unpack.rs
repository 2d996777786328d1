//! Events as the log sends them to events as `assemble` wants them: checked, decoded, and taken out of what they are
//! packed in. The stream calls it.

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
    /// The payload that is walked: kept here, because a batch may be full in its middle.
    content: Vec<u8>,
    walking: bool,
    inflater: Inflater,
    inflated: Vec<u8>,
}

impl Unpacker {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            format: None,
            payload: PayloadReader::new()?,
            content: Vec::new(),
            walking: false,
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
        let unknown = Format::unknown();
        let (header, event) = decode(event, self.format.as_ref().unwrap_or(&unknown))?;
        assembler.at(&header);
        match event {
            Event::Payload(payload) => {
                self.payload.begin(&payload)?;
                self.content.clear();
                self.content.extend_from_slice(payload.content);
                self.walking = true;
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

    /// Applies the next event of the payload that is walked; `None` where there is none.
    ///
    /// # Errors
    /// As [`Unpacker::apply`].
    pub(crate) fn apply_inner(
        &mut self,
        assembler: &mut Assembler<Plan>,
        batch: &mut Batch,
    ) -> Result<Option<Step>> {
        if !self.walking {
            return Ok(None);
        }
        let Some(event) = self.payload.next_event(&self.content)? else {
            self.walking = false;
            self.content.clear();
            self.content.shrink_to(CONTENT_KEPT);
            return Ok(None);
        };
        let unknown = Format::unknown();
        let (header, event) = decode(event, self.format.as_ref().unwrap_or(&unknown))?;
        assembler.apply(&header, &event, batch).map(Some)
    }
}

/// What is kept of memory between payloads.
const CONTENT_KEPT: usize = 256 << 10;
