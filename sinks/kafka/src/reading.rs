//! Reading partitions to their ends, once: of the position topic, and of what another writer has left.

use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::BorrowedMessage;
use tailwater_core::Result;

use crate::error;
use crate::topics::{PATIENCE, Topics};

impl Topics {
    /// Shows what is committed in these partitions, from the offsets that the list has. They stay assigned.
    ///
    /// # Errors
    /// Those of the brokers, and those of `show`.
    pub(crate) fn read_to_ends(
        &self,
        partitions: &TopicPartitionList,
        mut show: impl FnMut(&BorrowedMessage<'_>) -> Result<()>,
    ) -> Result<()> {
        let blame = |error: &KafkaError| self.noted.blame_for(error);
        self.consumer.assign(partitions).map_err(|error| blame(&error))?;
        let (mut ended, mut last) = (0, Instant::now());
        while ended < partitions.count() {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    show(&message)?;
                    last = Instant::now();
                }
                Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
                // No group is used here, so no right on one is needed.
                Some(Err(error)) if error.rdkafka_error_code() == Some(Code::GroupAuthorizationFailed) => {}
                Some(Err(error)) if !passes(&error) => return Err(blame(&error)),
                Some(Err(_)) | None if last.elapsed() > PATIENCE => {
                    return Err(self.noted.blame(Code::OperationTimedOut, "no answer"));
                }
                Some(Err(_)) | None => {}
            }
        }
        Ok(())
    }

    /// Forgets the partitions that were read.
    ///
    /// # Errors
    /// Those of librdkafka.
    pub(crate) fn end_reading(&self) -> Result<()> {
        self.consumer.unassign().map_err(|error| self.noted.blame_for(&error))
    }
}

/// Whether librdkafka tries again by itself.
fn passes(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(error::is_unreachable)
}
