//! The headers that every record has where `extended.headers.enabled` is set: which connector wrote it, in which run.

use super::column::name_uuid;
use super::config::Config;
use super::source::Connector;
use crate::encode::Records;

/// Made with the first event; empty before, and where they are not asked for.
#[derive(Debug, Default)]
pub(crate) struct Headers(Vec<(&'static [u8], Vec<u8>)>);

impl Headers {
    /// Makes them, unless they are made. The number of a run is made of its first moment.
    pub(crate) fn name_run(&mut self, config: &Config, connector: &Connector, now_us: i64) {
        if config.extended_headers && self.0.is_empty() {
            let seed = format!("{} {now_us} {}", config.prefix, std::process::id());
            self.0 = vec![
                (b"__debezium.context.connectorLogicalName", config.prefix.clone().into_bytes()),
                (b"__debezium.context.taskId", b"0".to_vec()),
                (b"__debezium.context.connectorName", connector.name.as_bytes().to_vec()),
                (b"__debezium.context.runId", name_uuid(seed.as_bytes()).into_bytes()),
            ];
        }
    }

    /// Adds them to the record that was added last.
    pub(crate) fn write(&self, out: &mut Records) {
        for (name, value) in &self.0 {
            let name = out.write(|out| out.extend_from_slice(name));
            let value = out.write(|out| out.extend_from_slice(value));
            out.header(name, Some(value));
        }
    }
}
