//! The startup message and the login: SCRAM with and without channel binding, md5, and a password as it is where
//! nobody can read along. `connect` calls it on a stream that is open and, where wanted, in TLS.

use std::ops::Range;

use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{self, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256};
use postgres_protocol::message::frontend;
use tailwater_core::{Error, Result};

use crate::connection::{Connection, Mode, unexpected};
use crate::error;
use crate::tls;
use crate::url::{ChannelBinding, Url};

/// Settings that change how values print or whether a session lives, pinned for every session so that copy and
/// stream print the same text. `row_security=off` makes a filtered copy an error instead of a short one, and
/// with this `search_path` names print with their schema.
const PINNED: &[(&str, &str)] = &[
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("bytea_output", "hex"),
    ("extra_float_digits", "1"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("row_security", "off"),
    ("search_path", "pg_catalog"),
];

/// Logs in and reads up to the first ReadyForQuery.
pub(crate) async fn log_in(connection: &mut Connection, url: &Url, mode: Mode) -> Result<()> {
    let mut parameters = vec![
        ("user", url.user.as_str()),
        ("database", url.database.as_str()),
        ("application_name", url.application_name.as_str()),
    ];
    parameters.extend_from_slice(PINNED);
    if let Some(options) = &url.options {
        parameters.push(("options", options));
    }
    match mode {
        Mode::Sql => {}
        Mode::Replication => parameters.push(("replication", "database")),
    }
    frontend::startup_message(parameters, connection.outbox()).map_err(|error| error::from_io(&error))?;
    let mut login = Login { url, scram: Scram::None };
    loop {
        let (tag, place) = connection.receive().await?;
        match tag {
            b'R' => login.answer(connection, place)?,
            b'E' => return Err(error::from_server(connection.body(place))),
            // Nothing here ever cancels a statement, so the key to do so is of no use.
            b'K' => {}
            b'Z' => return login.check_finished(),
            other => return Err(unexpected(other, "the login")),
        }
    }
}

struct Login<'a> {
    url: &'a Url,
    scram: Scram,
}

/// How far SCRAM has come.
enum Scram {
    None,
    Started { exchange: ScramSha256, bound: bool },
    Finished { bound: bool },
}

impl Login<'_> {
    /// Answers one authentication request.
    fn answer(&mut self, connection: &mut Connection, place: Range<usize>) -> Result<()> {
        let body = connection.body(place).to_vec();
        let Some((code, data)) = body.split_first_chunk::<4>() else {
            return Err(error::protocol("an authentication request is too short"));
        };
        match u32::from_be_bytes(*code) {
            0 => self.check_finished(),
            3 => self.send_cleartext(connection),
            5 => self.send_md5(connection, data),
            10 => self.start_scram(connection, data),
            11 => self.continue_scram(connection, data),
            12 => self.finish_scram(data),
            other => {
                let method = match other {
                    2 => "Kerberos".to_owned(),
                    7..=9 => "GSSAPI or SSPI".to_owned(),
                    number => format!("of number {number}"),
                };
                Err(refused(format!("the server asks for a login {method}, which is not known here"))
                    .remedy("in pg_hba.conf, let this user log in with scram-sha-256 or cert"))
            }
        }
    }

    fn password(&self) -> Result<&str> {
        match &self.url.password {
            Some(password) => Ok(password.reveal()),
            None => Err(refused("the server asks for a password and the URL has none")
                .remedy("postgres://USER:${env:PGPASSWORD}@HOST/DATABASE")),
        }
    }

    /// Fails where a login without bound SCRAM is about to be used although nothing else is allowed.
    fn check_binding_is_optional(&self, method: &str) -> Result<()> {
        if self.url.channel_binding == ChannelBinding::Require {
            return Err(refused(format!("channel_binding=require, and the server asks for {method}"))
                .remedy("let the user log in with scram-sha-256 over TLS, or set channel_binding=prefer"));
        }
        Ok(())
    }

    fn send_cleartext(&self, connection: &mut Connection) -> Result<()> {
        self.check_binding_is_optional("the password as it is")?;
        if !connection.transport().is_private() {
            return Err(refused(
                "the server asks for the password in clear text over a connection without TLS",
            )
            .remedy("set sslmode=verify-full in the URL, or scram-sha-256 in pg_hba.conf"));
        }
        let password = self.password()?.as_bytes();
        frontend::password_message(password, connection.outbox()).map_err(|error| error::from_io(&error))
    }

    fn send_md5(&self, connection: &mut Connection, salt: &[u8]) -> Result<()> {
        self.check_binding_is_optional("md5")?;
        let salt = salt.first_chunk::<4>().ok_or_else(|| error::protocol("the salt of md5 is too short"))?;
        let hash = md5_hash(self.url.user.as_bytes(), self.password()?.as_bytes(), *salt);
        frontend::password_message(hash.as_bytes(), connection.outbox())
            .map_err(|error| error::from_io(&error))
    }

    fn start_scram(&mut self, connection: &mut Connection, mechanisms: &[u8]) -> Result<()> {
        let offers = |name: &str| mechanisms.split(|byte| *byte == 0).any(|offer| offer == name.as_bytes());
        let end_point = match self.url.channel_binding {
            ChannelBinding::Disable => None,
            ChannelBinding::Prefer | ChannelBinding::Require => {
                tls::server_end_point(connection.transport())?
            }
        };
        let (mechanism, binding) = match end_point {
            Some(hash) if offers(SCRAM_SHA_256_PLUS) => {
                (SCRAM_SHA_256_PLUS, sasl::ChannelBinding::tls_server_end_point(hash))
            }
            // Tells the server that binding was possible, so that it notices if somebody took its offer away.
            Some(_) => (SCRAM_SHA_256, sasl::ChannelBinding::unrequested()),
            None => (SCRAM_SHA_256, sasl::ChannelBinding::unsupported()),
        };
        let bound = mechanism == SCRAM_SHA_256_PLUS;
        if !bound {
            self.check_binding_is_optional("SCRAM without channel binding")?;
        }
        if !offers(mechanism) {
            return Err(refused("the server offers no SASL mechanism that is known here")
                .remedy("in pg_hba.conf, let this user log in with scram-sha-256"));
        }
        let exchange = ScramSha256::new(self.password()?.as_bytes(), binding);
        frontend::sasl_initial_response(mechanism, exchange.message(), connection.outbox())
            .map_err(|error| error::from_io(&error))?;
        self.scram = Scram::Started { exchange, bound };
        Ok(())
    }

    fn continue_scram(&mut self, connection: &mut Connection, data: &[u8]) -> Result<()> {
        let Scram::Started { exchange, .. } = &mut self.scram else {
            return Err(error::protocol("the server goes on with a SCRAM exchange that was not begun"));
        };
        exchange.update(data).map_err(|error| refused(format!("SCRAM: {error}")))?;
        frontend::sasl_response(exchange.message(), connection.outbox())
            .map_err(|error| error::from_io(&error))
    }

    fn finish_scram(&mut self, data: &[u8]) -> Result<()> {
        match std::mem::replace(&mut self.scram, Scram::None) {
            Scram::Started { mut exchange, bound } => {
                exchange.finish(data).map_err(|error| {
                    refused(format!("the server does not prove that it knows the password: {error}"))
                })?;
                self.scram = Scram::Finished { bound };
                Ok(())
            }
            Scram::None | Scram::Finished { .. } => {
                Err(error::protocol("the server ends a SCRAM exchange that was not begun"))
            }
        }
    }

    /// A server that says "enough" before it has proved itself is not believed.
    fn check_finished(&self) -> Result<()> {
        match self.scram {
            Scram::Started { .. } => Err(refused("the server ends the login before SCRAM is complete")),
            Scram::None | Scram::Finished { bound: false } => {
                self.check_binding_is_optional("no bound login")
            }
            Scram::Finished { bound: true } => Ok(()),
        }
    }
}

fn refused(message: impl Into<String>) -> Error {
    Error::operator(error::LOGIN, message).doing("log in")
}
