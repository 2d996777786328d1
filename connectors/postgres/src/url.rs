//! Connection URLs as libpq writes them. Pure: no file, no environment, no network. `connect` and `tls` use what
//! comes out. An unknown parameter is an error; so is one that libpq knows and Tailwater does not follow.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use tailwater_core::{Error, Result};
use tailwater_transport::url::{self, nearest};

use crate::error::BAD_URL;

const PORT: u16 = 5432;
const SOCKET_DIR: &str = "/var/run/postgresql";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Every parameter that may follow the `?`.
pub const PARAMETERS: &[&str] = &[
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "target_session_attrs",
    "user",
];

/// A parsed connection URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Tried in this order; never empty.
    pub hosts: Vec<Host>,
    /// The role to log in as.
    pub user: String,
    /// Its password, where one is given.
    pub password: Option<Password>,
    /// The database.
    pub database: String,
    /// Whether and how TLS is used.
    pub ssl_mode: SslMode,
    /// Whether the server is asked for TLS before the handshake, or greeted with it at once (Postgres 17).
    pub ssl_negotiation: SslNegotiation,
    /// The certificates that are trusted.
    pub ssl_root_cert: Option<RootCert>,
    /// The client's certificate chain, a PEM file.
    pub ssl_cert: Option<PathBuf>,
    /// Its key, a PEM file without a passphrase.
    pub ssl_key: Option<PathBuf>,
    /// Whether SCRAM is bound to the TLS connection.
    pub channel_binding: ChannelBinding,
    /// What the chosen server must be.
    pub target: TargetSession,
    /// Bound of each attempt, per address, from the first packet to the end of the login.
    pub connect_timeout: Duration,
    /// Shown in `pg_stat_activity`.
    pub application_name: String,
    /// Command-line options for the server process, `-c geqo=off`.
    pub options: Option<String>,
}

/// One server to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name or an address.
    Tcp {
        /// Without the brackets of IPv6.
        name: String,
        /// 5432 unless given.
        port: u16,
    },
    /// A directory with a socket `.s.PGSQL.<port>`.
    Unix {
        /// The directory.
        directory: PathBuf,
        /// Part of the socket's file name.
        port: u16,
    },
}

impl Host {
    /// The socket's file.
    #[must_use]
    pub(crate) fn socket_path(directory: &Path, port: u16) -> PathBuf {
        directory.join(format!(".s.PGSQL.{port}"))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { name, port } if name.contains(':') => write!(f, "[{name}]:{port}"),
            Self::Tcp { name, port } => write!(f, "{name}:{port}"),
            Self::Unix { directory, port } => write!(f, "{}", Self::socket_path(directory, *port).display()),
        }
    }
}

/// A password, which never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Where trusted certificates come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootCert {
    /// A PEM file.
    File(PathBuf),
    /// The operating system's own.
    System,
}

/// Declares an enum of words, how each is spelled in a URL, and the error for any other word.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$vmeta])* $variant,)* }

        impl $name {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant),)*];
        }
    };
}

words! {
    /// libpq's `sslmode`. Over a Unix socket none of them applies.
    SslMode {
        /// Never TLS.
        Disable = "disable",
        /// TLS only where the server refuses a connection without it.
        Allow = "allow",
        /// TLS, or none where that fails.
        Prefer = "prefer",
        /// TLS; the certificate is checked only where root certificates are given.
        Require = "require",
        /// TLS with a certificate that is trusted, for whatever name.
        VerifyCa = "verify-ca",
        /// TLS with a certificate that is trusted and names the host.
        VerifyFull = "verify-full",
    }
}

words! {
    /// How TLS begins.
    SslNegotiation {
        /// The server is asked first.
        Postgres = "postgres",
        /// With the first byte; Postgres 17 and later.
        Direct = "direct",
    }
}

words! {
    /// Whether SCRAM proves that both ends see the same TLS certificate.
    ChannelBinding {
        /// Never.
        Disable = "disable",
        /// Where the server offers it.
        Prefer = "prefer",
        /// Nothing else is accepted.
        Require = "require",
    }
}

words! {
    /// Which of the hosts will do.
    TargetSession {
        /// The first that answers.
        Any = "any",
        /// One that accepts writes.
        ReadWrite = "read-write",
        /// One whose sessions are read-only.
        ReadOnly = "read-only",
        /// One that is not in recovery.
        Primary = "primary",
        /// One in recovery.
        Standby = "standby",
        /// One in recovery, or any where there is none.
        PreferStandby = "prefer-standby",
    }
}

impl FromStr for Url {
    type Err = Error;

    /// Reads `postgres://user:password@host:port,host:port/database?name=value&…`.
    fn from_str(url: &str) -> Result<Self> {
        let rest = url
            .strip_prefix("postgres://")
            .or_else(|| url.strip_prefix("postgresql://"))
            .ok_or_else(|| bad("it begins neither with postgres:// nor with postgresql://"))?;
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = address.split_once('/').unwrap_or((address, ""));
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let mut parts = Parts::from_authority(login, hosts)?;
        parts.database = decode(path, "the database")?;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            parts.parameter(pair)?;
        }
        parts.finish()
    }
}

/// What has been read so far, in the URL's own terms.
struct Parts {
    hosts: Vec<String>,
    ports: Vec<String>,
    user: String,
    password: Option<String>,
    database: String,
    ssl_mode: Option<SslMode>,
    url: Url,
}

impl Parts {
    fn from_authority(login: &str, hosts: &str) -> Result<Self> {
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(decode(password, "the password")?)),
            None => (login, None),
        };
        let mut parts = Self {
            hosts: Vec::new(),
            ports: Vec::new(),
            user: decode(user, "the user")?,
            password,
            database: String::new(),
            ssl_mode: None,
            url: Url {
                hosts: Vec::new(),
                user: String::new(),
                password: None,
                database: String::new(),
                ssl_mode: SslMode::Prefer,
                ssl_negotiation: SslNegotiation::Postgres,
                ssl_root_cert: None,
                ssl_cert: None,
                ssl_key: None,
                channel_binding: ChannelBinding::Prefer,
                target: TargetSession::Any,
                connect_timeout: CONNECT_TIMEOUT,
                application_name: "tailwater".to_owned(),
                options: None,
            },
        };
        for host in hosts.split(',').filter(|_| !hosts.is_empty()) {
            let (name, port) = split_host(host)?;
            parts.hosts.push(decode(name, "a host")?);
            parts.ports.push(port.to_owned());
        }
        Ok(parts)
    }

    fn parameter(&mut self, pair: &str) -> Result<()> {
        let (name, value) = pair.split_once('=').ok_or_else(|| bad("a parameter has no `=`"))?;
        let name = decode(name, "the name of a parameter")?;
        let value = decode(value, &format!("parameter {name}"))?;
        let url = &mut self.url;
        match name.as_str() {
            "application_name" => url.application_name = value,
            "channel_binding" => url.channel_binding = word(&name, &value, ChannelBinding::WORDS)?,
            "connect_timeout" => url.connect_timeout = seconds(&value)?,
            "dbname" => self.database = value,
            "host" => self.hosts = value.split(',').map(str::to_owned).collect(),
            "options" => url.options = Some(value),
            "password" => self.password = Some(value),
            "port" => self.ports = value.split(',').map(str::to_owned).collect(),
            "sslcert" => url.ssl_cert = Some(value.into()),
            "sslkey" => url.ssl_key = Some(value.into()),
            "sslmode" => self.ssl_mode = Some(word(&name, &value, SslMode::WORDS)?),
            "sslnegotiation" => url.ssl_negotiation = word(&name, &value, SslNegotiation::WORDS)?,
            "sslrootcert" if value == "system" => url.ssl_root_cert = Some(RootCert::System),
            "sslrootcert" => url.ssl_root_cert = Some(RootCert::File(value.into())),
            "target_session_attrs" => url.target = word(&name, &value, TargetSession::WORDS)?,
            "user" => self.user = value,
            _ => {
                let nearest = nearest(&name, PARAMETERS.iter().copied());
                return Err(bad(format!(
                    "parameter `{name}` is not known here; the nearest that is: `{nearest}`"
                ))
                .remedy(format!("one of {}", PARAMETERS.join(", "))));
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Url> {
        if self.user.is_empty() {
            return Err(bad("it names no user").remedy("postgres://USER@HOST/DATABASE"));
        }
        self.url.hosts = self.host_list()?;
        self.url.database = if self.database.is_empty() { self.user.clone() } else { self.database };
        self.url.user = self.user;
        self.url.password = self.password.filter(|password| !password.is_empty()).map(Password);
        let system = self.url.ssl_root_cert == Some(RootCert::System);
        self.url.ssl_mode = match self.ssl_mode {
            None if system => SslMode::VerifyFull,
            None => SslMode::Prefer,
            Some(mode) if system && mode != SslMode::VerifyFull => {
                return Err(bad(
                    "sslrootcert=system trusts every public certificate, which is too weak for this sslmode",
                )
                .remedy("sslmode=verify-full"));
            }
            Some(mode) => mode,
        };
        let weak = matches!(self.url.ssl_mode, SslMode::Disable | SslMode::Allow | SslMode::Prefer);
        if self.url.ssl_negotiation == SslNegotiation::Direct && weak {
            return Err(bad("sslnegotiation=direct does not go with an sslmode that may do without TLS")
                .remedy("sslmode=verify-full"));
        }
        if self.url.ssl_cert.is_some() != self.url.ssl_key.is_some() {
            return Err(bad("sslcert and sslkey go together").remedy("give both, or neither"));
        }
        Ok(self.url)
    }

    fn host_list(&self) -> Result<Vec<Host>> {
        let default = [String::new()];
        let names = if self.hosts.is_empty() { &default } else { self.hosts.as_slice() };
        if self.ports.len() > 1 && self.ports.len() != names.len() {
            return Err(bad(format!("{} hosts do not go with {} ports", names.len(), self.ports.len())));
        }
        let host = |(at, name): (usize, &String)| {
            let text = self.ports.get(at).or(self.ports.first()).map_or("", String::as_str);
            let port = match text {
                "" => PORT,
                text => text
                    .parse()
                    .ok()
                    .filter(|port| *port > 0)
                    .ok_or_else(|| bad(format!("the port `{text}` is not a number from 1 to 65535")))?,
            };
            Ok(match name.as_str() {
                "" => Host::Unix { directory: SOCKET_DIR.into(), port },
                path if path.starts_with('/') => Host::Unix { directory: path.into(), port },
                name => Host::Tcp { name: name.to_owned(), port },
            })
        };
        names.iter().enumerate().map(host).collect()
    }
}

/// `[::1]:5432` or `name:5432` into its name and its port.
fn split_host(host: &str) -> Result<(&str, &str)> {
    if let Some(rest) = host.strip_prefix('[') {
        let (name, after) = rest.split_once(']').ok_or_else(|| bad("a `[` has no `]`"))?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((name, port)),
            None if after.is_empty() => Ok((name, "")),
            None => Err(bad("something other than a port follows the `]`")),
        };
    }
    match host.split_once(':') {
        Some((_, port)) if port.contains(':') => {
            Err(bad("a host has more than one colon").remedy("put an IPv6 address in brackets: [::1]"))
        }
        Some((name, port)) => Ok((name, port)),
        None => Ok((host, "")),
    }
}

/// Undoes percent encoding. `what` names the place in the error, which never quotes the text.
fn decode(text: &str, what: &str) -> Result<String> {
    url::decode(text, what, BAD_URL)
}

fn word<T: Copy>(name: &str, value: &str, words: &[(&str, T)]) -> Result<T> {
    match words.iter().find(|(word, _)| *word == value) {
        Some((_, meaning)) => Ok(*meaning),
        None => {
            let list: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let nearest = nearest(value, list.iter().copied());
            Err(bad(format!("{name} is not `{value}`; the nearest valid value: `{nearest}`"))
                .remedy(format!("{name}= one of {}", list.join(", "))))
        }
    }
}

fn seconds(value: &str) -> Result<Duration> {
    match value.parse::<u32>() {
        // libpq waits for ever; something that runs for months must not.
        Ok(0) => Ok(CONNECT_TIMEOUT),
        Ok(seconds) => Ok(Duration::from_secs(seconds.into())),
        Err(error) => Err(bad(format!("connect_timeout is a number of seconds: {error}"))),
    }
}

fn bad(message: impl Into<String>) -> Error {
    url::bad(BAD_URL, message)
}

#[cfg(test)]
mod tests {
    use tailwater_transport::url::encode;

    use super::*;

    fn summary(url: &str) -> String {
        match url.parse::<Url>() {
            Ok(url) => {
                let hosts: Vec<String> = url.hosts.iter().map(Host::to_string).collect();
                let password = url.password.as_ref().map_or("", Password::reveal);
                format!("{}:{password}@{}/{}", url.user, hosts.join(","), url.database)
            }
            Err(error) => {
                error.to_string().replace("read the connection URL: ", "").replace(" [TW-PG-001]", "")
            }
        }
    }

    #[test]
    fn addresses() {
        for (url, expected) in [
            ("postgres://u@h/d", "u:@h:5432/d"),
            ("postgresql://u:p@h:1/d", "u:p@h:1/d"),
            ("postgres://u@h", "u:@h:5432/u"),
            ("postgres://u:@h/", "u:@h:5432/u"),
            ("postgres://u:p%40%2F%25@a:1,b,[::1]:3/d%20e", "u:p@/%@a:1,b:5432,[::1]:3/d e"),
            ("postgres://u@[fe80::1]/d", "u:@[fe80::1]:5432/d"),
            ("postgres://u@/d", "u:@/var/run/postgresql/.s.PGSQL.5432/d"),
            ("postgres:///d?user=u&host=/tmp/s&port=99", "u:@/tmp/s/.s.PGSQL.99/d"),
            ("postgres://u@%2Ftmp%2Fs:7/d", "u:@/tmp/s/.s.PGSQL.7/d"),
            ("postgres:///?user=u&host=a,b&port=1,2&dbname=x&password=s", "u:s@a:1,b:2/x"),
            ("postgres:///?user=u&host=a,b&port=1", "u:@a:1,b:1/u"),
            ("postgres://a%3Ab:c:d@h/x", "a:b:c:d@h:5432/x"),
        ] {
            assert_eq!(summary(url), expected, "{url}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (url, expected) in [
            ("mysql://u@h/d", "it begins neither with postgres:// nor with postgresql://"),
            ("postgres://h/d", "it names no user\n  to mend it: postgres://USER@HOST/DATABASE"),
            ("postgres://u@h:x/d", "the port `x` is not a number from 1 to 65535"),
            ("postgres://u@h:0/d", "the port `0` is not a number from 1 to 65535"),
            ("postgres://u@h:65536/d", "the port `65536` is not a number from 1 to 65535"),
            (
                "postgres://u@::1/d",
                "a host has more than one colon\n  to mend it: put an IPv6 address in brackets: [::1]",
            ),
            ("postgres://u@[::1/d", "a `[` has no `]`"),
            ("postgres://u@[::1]5/d", "something other than a port follows the `]`"),
            ("postgres://u@a/d?port=1,2", "1 hosts do not go with 2 ports"),
            (
                "postgres://u:100%@h/d",
                "the password holds a `%` without two hexadecimal digits after it\n  to mend it: write a percent sign as %25",
            ),
            (
                "postgres://u:%00@h/d",
                "the password holds a `%` without two hexadecimal digits after it\n  to mend it: write a percent sign as %25",
            ),
            (
                "postgres://u@h/%ff",
                "the database is not UTF-8: invalid utf-8 sequence of 1 bytes from index 0",
            ),
            ("postgres://u@h/d?sslmode", "a parameter has no `=`"),
        ] {
            assert_eq!(summary(url), expected, "{url}");
        }
    }

    #[test]
    fn a_wrong_parameter_is_named_with_the_nearest_right_one() {
        for (url, expected) in [
            (
                "postgres://u@h/d?sslmode=verify-fall",
                "sslmode is not `verify-fall`; the nearest valid value: `verify-full`\n  to mend it: sslmode= one of disable, allow, prefer, require, verify-ca, verify-full",
            ),
            (
                "postgres://u@h/d?sslmode=require&sslrootcert=system",
                "sslrootcert=system trusts every public certificate, which is too weak for this sslmode\n  to mend it: sslmode=verify-full",
            ),
            (
                "postgres://u@h/d?sslnegotiation=direct",
                "sslnegotiation=direct does not go with an sslmode that may do without TLS\n  to mend it: sslmode=verify-full",
            ),
            (
                "postgres://u@h/d?sslcert=c",
                "sslcert and sslkey go together\n  to mend it: give both, or neither",
            ),
            (
                "postgres://u@h/d?connect_timeout=-1",
                "connect_timeout is a number of seconds: invalid digit found in string",
            ),
        ] {
            assert_eq!(summary(url), expected, "{url}");
        }
        let unknown = summary("postgres://u@h/d?ssl_mode=require");
        assert!(
            unknown.contains("parameter `ssl_mode` is not known here; the nearest that is: `sslmode`"),
            "{unknown}"
        );
    }

    #[test]
    fn parameters() {
        let url: Url = "postgres://u:geheim@h/d?sslmode=verify-ca&sslrootcert=/r.pem&sslcert=c.pem&sslkey=k.pem&channel_binding=require&target_session_attrs=prefer-standby&connect_timeout=3&application_name=a%26b&options=-c%20geqo%3Doff"
            .parse()
            .unwrap();
        assert_eq!(url.ssl_mode, SslMode::VerifyCa);
        assert_eq!(url.ssl_root_cert, Some(RootCert::File("/r.pem".into())));
        assert_eq!((url.ssl_cert.clone(), url.ssl_key.clone()), (Some("c.pem".into()), Some("k.pem".into())));
        assert_eq!(url.channel_binding, ChannelBinding::Require);
        assert_eq!(url.target, TargetSession::PreferStandby);
        assert_eq!(url.connect_timeout, Duration::from_secs(3));
        assert_eq!((url.application_name.as_str(), url.options.as_deref()), ("a&b", Some("-c geqo=off")));
        assert!(!format!("{url:?}").contains("geheim"));
    }

    #[test]
    fn defaults_are_those_of_libpq_but_for_the_timeout() {
        let url: Url = "postgres://u@h/d?connect_timeout=0".parse().unwrap();
        assert_eq!(url.ssl_mode, SslMode::Prefer);
        assert_eq!(url.channel_binding, ChannelBinding::Prefer);
        assert_eq!(url.target, TargetSession::Any);
        assert_eq!(url.connect_timeout, CONNECT_TIMEOUT);
        let url: Url = "postgres://u@h/d?sslrootcert=system".parse().unwrap();
        assert_eq!(url.ssl_mode, SslMode::VerifyFull);
    }

    #[test]
    fn every_word_of_every_parameter_is_taken() {
        let urls = |name: &str, words: Vec<&str>| {
            for word in words {
                let url = format!("postgres://u@h/d?{name}={word}");
                assert!(url.parse::<Url>().is_ok(), "{url}");
            }
        };
        urls("sslmode", SslMode::WORDS.iter().map(|(word, _)| *word).collect());
        urls("channel_binding", ChannelBinding::WORDS.iter().map(|(word, _)| *word).collect());
        urls("target_session_attrs", TargetSession::WORDS.iter().map(|(word, _)| *word).collect());
    }

    #[test]
    fn an_encoded_secret_stands_for_itself() {
        let secret = "a/b@c:d?e%f&g=h #ü";
        let url: Url = format!("postgres://u:{}@h/d", encode(secret)).parse().unwrap();
        assert_eq!(url.password.unwrap().reveal(), secret);
    }

    #[test]
    fn the_nearest_spelling() {
        assert_eq!(nearest("slmode", PARAMETERS.iter().copied()), "sslmode");
        assert_eq!(nearest("conect_timeout", PARAMETERS.iter().copied()), "connect_timeout");
    }
}
