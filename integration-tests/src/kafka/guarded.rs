//! A broker that asks who one is, and what one may do.

use super::Broker;

/// Its administrator, for a client that logs in by PLAIN; `guest`, with that for a password, may do nothing.
pub const ADMINISTRATOR: &str =
    "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"admin\" password=\"secret\"";

impl Broker {
    /// A broker that lets nobody in without a login, and nobody but its administrator do anything without an ACL; with
    /// these settings besides.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start_guarded(more: &[(&str, &str)]) -> Self {
        let users = format!("{ADMINISTRATOR} user_admin=\"secret\" user_guest=\"guest\";");
        let protocols = "CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT";
        let settings = |port: u16| {
            let listeners =
                format!("SASL_PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:CONTROLLER_PORT");
            let settings = [
                ("listeners", listeners.as_str()),
                ("listener.security.protocol.map", protocols),
                ("inter.broker.listener.name", "SASL_PLAINTEXT"),
                ("sasl.enabled.mechanisms", "PLAIN"),
                ("sasl.mechanism.inter.broker.protocol", "PLAIN"),
                ("listener.name.sasl_plaintext.plain.sasl.jaas.config", &users),
                ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
                ("super.users", "User:admin;User:ANONYMOUS"),
            ];
            settings
                .iter()
                .chain(more)
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        Self::start_with(settings, &[])
    }
}
