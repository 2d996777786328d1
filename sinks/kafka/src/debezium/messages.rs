//! Records that are no rows: logical messages, and heartbeats. They have no headers, whichever are asked for.

use super::config::Config;
use super::envelope::{self, Filling, Moment, number, text_of};
use super::source::Connector;
use super::text;
use super::transactions::InTransaction;
use crate::encode::Records;
use crate::routes::{Route, Routes};

const MESSAGE_KEY_SCHEMA: &str = concat!(
    r#"{"type":"struct","fields":[{"type":"string","optional":true,"field":"prefix"}],"optional":false,"#,
    r#""name":"io.debezium.connector.postgresql.MessageKey","version":1}"#,
);
const HEARTBEAT_KEY_SCHEMA: &str = concat!(
    r#"{"type":"struct","fields":[{"type":"string","optional":false,"field":"serverName"}],"optional":false,"#,
    r#""name":"io.debezium.connector.common.ServerNameKey","version":1}"#,
);
const HEARTBEAT_SCHEMA: &str = concat!(
    r#"{"type":"struct","fields":[{"type":"int64","optional":false,"field":"ts_ms"}],"optional":false,"#,
    r#""name":"io.debezium.connector.common.Heartbeat","version":1}"#,
);

/// What is prepared for them, and when a heartbeat came last.
#[derive(Debug)]
pub(crate) struct Messages {
    /// `{"schema":{…},"payload":` of key and value, where schemas are asked for.
    heads: (Vec<u8>, Vec<u8>),
    /// `}`, and where schemas are asked for another one.
    end: &'static [u8],
    route: Option<Route>,
    /// Messages belong to no table, and say so: [`Connector::table_parts`].
    source_parts: Vec<Vec<u8>>,
    last_heartbeat_us: i64,
}

impl Messages {
    pub(crate) fn new(config: &Config) -> Self {
        // No other connector has messages.
        let connector = <&Connector>::default();
        let head = |schema: &str| {
            let text = format!("{{\"schema\":{schema},\"payload\":");
            if config.schemas { text.into_bytes() } else { Vec::new() }
        };
        Self {
            heads: (head(MESSAGE_KEY_SCHEMA), head(&envelope::message_schema(connector))),
            end: if config.schemas { b"}}" } else { b"}" },
            route: None,
            source_parts: connector.table_parts("", Some("")),
            last_heartbeat_us: 0,
        }
    }

    /// Adds a message: its prefix and its content.
    pub(crate) fn message(
        &mut self,
        (moment, transaction, log_offset): (&Moment, InTransaction<'_>, u64),
        (prefix, content): (&[u8], &[u8]),
        config: &Config,
        routes: &mut Routes,
        out: &mut Records,
    ) {
        let (key_head, value_head) = &self.heads;
        let key = out.write(|out| {
            out.extend_from_slice(key_head);
            out.extend_from_slice(b"{\"prefix\":");
            text::string(out, prefix);
            out.extend_from_slice(self.end);
        });
        let value = out.write(|out| {
            out.extend_from_slice(value_head);
            out.extend_from_slice(b"{\"op\":\"m\",\"ts_ms\":");
            number(out, moment.now_ms());
            let filling = Filling { snapshot: "false", table: &self.source_parts, log_offset, log_row: 0 };
            moment.source(out, &filling);
            out.extend_from_slice(transaction.block);
            out.extend_from_slice(b",\"message\":{\"prefix\":");
            text::string(out, prefix);
            out.extend_from_slice(b",\"content\":");
            text::base64(out, text::Alphabet::Plain, content.iter().copied());
            out.push(b'}');
            out.extend_from_slice(self.end);
        });
        let route = self.route.get_or_insert_with(|| routes.other(&config.message_topic(), "messages"));
        out.add(*route, Some(key), Some(value));
    }

    /// Adds a heartbeat, where one is due.
    pub(crate) fn heartbeat(&mut self, now_us: i64, config: &Config, routes: &mut Routes, out: &mut Records) {
        let interval_us = i64::try_from(config.heartbeat_ms.saturating_mul(1000)).unwrap_or(i64::MAX);
        if interval_us == 0 || now_us - self.last_heartbeat_us < interval_us {
            return;
        }
        self.last_heartbeat_us = now_us;
        let route = routes.other(&config.heartbeat_topic(), "heartbeats");
        let wrapped = |schema: &str, payload: String| {
            if config.schemas { format!("{{\"schema\":{schema},\"payload\":{payload}}}") } else { payload }
        };
        let name = text_of(&config.prefix);
        let key = wrapped(HEARTBEAT_KEY_SCHEMA, format!("{{\"serverName\":{name}}}"));
        let value = wrapped(HEARTBEAT_SCHEMA, format!("{{\"ts_ms\":{}}}", now_us.div_euclid(1000)));
        let key = out.write(|out| out.extend_from_slice(key.as_bytes()));
        let value = out.write(|out| out.extend_from_slice(value.as_bytes()));
        out.add(route, Some(key), Some(value));
    }
}
