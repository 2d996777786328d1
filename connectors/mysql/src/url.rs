//! Connection URLs, with the names of the parameters that the `mysql` client has. Pure: no file, no environment, no
//! network. `connect` uses what comes out. An unknown parameter is an error.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tailwater_core::{Error, Result};
use tailwater_transport::url::{self, nearest};

use crate::error::BAD_URL;

const PORT: u16 = 3306;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Every parameter that may follow the `?`.
pub const PARAMETERS: &[&str] =
    &["connect-timeout", "server-public-key-path", "socket", "ssl-ca", "ssl-cert", "ssl-key", "ssl-mode"];

/// A parsed connection URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Where the server is.
    pub host: Host,
    /// The account to log in as.
    pub user: String,
    /// Its password, where one is given.
    pub password: Option<Password>,
    /// The default database, where one is given.
    pub database: Option<String>,
    /// Whether and how TLS is used.
    pub ssl_mode: SslMode,
    /// The certificates that are trusted, a PEM file; without it those of the operating system.
    pub ssl_ca: Option<PathBuf>,
    /// The client's certificate chain, a PEM file.
    pub ssl_cert: Option<PathBuf>,
    /// Its key, a PEM file without a passphrase.
    pub ssl_key: Option<PathBuf>,
    /// The server's RSA key, a PEM file: a password is encrypted with it where there is no TLS.
    pub server_public_key: Option<PathBuf>,
    /// Bound of each attempt, per address, from the first packet to the end of the login.
    pub connect_timeout: Duration,
}

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name or an address.
    Tcp {
        /// Without the brackets of IPv6.
        name: String,
        /// 3306 unless given.
        port: u16,
    },
    /// A socket's file.
    Unix(PathBuf),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { name, port } if name.contains(':') => write!(f, "[{name}]:{port}"),
            Self::Tcp { name, port } => write!(f, "{name}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
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

/// `ssl-mode`. Over a Unix socket none of them applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// Never TLS.
    Disabled,
    /// TLS where the server offers it.
    Preferred,
    /// TLS, whatever certificate the server shows.
    Required,
    /// TLS with a certificate that is trusted, for whatever name.
    VerifyCa,
    /// TLS with a certificate that is trusted and names the host.
    VerifyIdentity,
}

const SSL_MODES: &[(&str, SslMode)] = &[
    ("DISABLED", SslMode::Disabled),
    ("PREFERRED", SslMode::Preferred),
    ("REQUIRED", SslMode::Required),
    ("VERIFY_CA", SslMode::VerifyCa),
    ("VERIFY_IDENTITY", SslMode::VerifyIdentity),
];

impl FromStr for Url {
    type Err = Error;

    /// Reads `mysql://user:password@host:port/database?name=value&…`.
    fn from_str(url: &str) -> Result<Self> {
        let rest = url
            .strip_prefix("mysql://")
            .or_else(|| url.strip_prefix("mariadb://"))
            .ok_or_else(|| bad("it begins neither with mysql:// nor with mariadb://"))?;
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = address.split_once('/').unwrap_or((address, ""));
        let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let password = decode(password, "the password")?;
        let database = decode(path, "the database")?;
        let mut url = Self {
            host: parse_host(host)?,
            user: decode(user, "the user")?,
            password: (!password.is_empty()).then_some(Password(password)),
            database: (!database.is_empty()).then_some(database),
            ssl_mode: SslMode::Preferred,
            ssl_ca: None,
            ssl_cert: None,
            ssl_key: None,
            server_public_key: None,
            connect_timeout: CONNECT_TIMEOUT,
        };
        let mut mode = None;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            url.parameter(pair, &mut mode)?;
        }
        url.finish(mode)
    }
}

impl Url {
    fn parameter(&mut self, pair: &str, mode: &mut Option<SslMode>) -> Result<()> {
        let (name, value) = pair.split_once('=').ok_or_else(|| bad("a parameter has no `=`"))?;
        let name = decode(name, "the name of a parameter")?;
        let value = decode(value, &format!("parameter {name}"))?;
        match name.as_str() {
            "connect-timeout" => self.connect_timeout = seconds(&value)?,
            "server-public-key-path" => self.server_public_key = Some(value.into()),
            "socket" => self.host = Host::Unix(value.into()),
            "ssl-ca" => self.ssl_ca = Some(value.into()),
            "ssl-cert" => self.ssl_cert = Some(value.into()),
            "ssl-key" => self.ssl_key = Some(value.into()),
            "ssl-mode" => *mode = Some(ssl_mode(&value)?),
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

    fn finish(mut self, mode: Option<SslMode>) -> Result<Self> {
        if self.user.is_empty() {
            return Err(bad("it names no user").remedy("mysql://USER@HOST/DATABASE"));
        }
        if self.ssl_cert.is_some() != self.ssl_key.is_some() {
            return Err(bad("ssl-cert and ssl-key go together").remedy("give both, or neither"));
        }
        // Somebody who names the certificates to trust wants them looked at.
        let default = if self.ssl_ca.is_some() { SslMode::VerifyCa } else { SslMode::Preferred };
        self.ssl_mode = mode.unwrap_or(default);
        let weak = match self.ssl_mode {
            SslMode::Disabled | SslMode::Preferred | SslMode::Required => true,
            SslMode::VerifyCa | SslMode::VerifyIdentity => false,
        };
        if self.ssl_ca.is_some() && weak {
            return Err(bad("ssl-ca is given, and this ssl-mode does not look at certificates")
                .remedy("ssl-mode=VERIFY_IDENTITY"));
        }
        Ok(self)
    }
}

fn ssl_mode(value: &str) -> Result<SslMode> {
    let value = value.to_ascii_uppercase();
    match SSL_MODES.iter().find(|(word, _)| *word == value) {
        Some((_, mode)) => Ok(*mode),
        None => {
            let words: Vec<&str> = SSL_MODES.iter().map(|(word, _)| *word).collect();
            let nearest = nearest(&value, words.iter().copied());
            Err(bad(format!("ssl-mode is not `{value}`; the nearest valid value: `{nearest}`"))
                .remedy(format!("ssl-mode= one of {}", words.join(", "))))
        }
    }
}

/// `[::1]:3306` or `name:3306`; nothing is this machine.
fn parse_host(host: &str) -> Result<Host> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (name, after) = rest.split_once(']').ok_or_else(|| bad("a `[` has no `]`"))?;
            match after.strip_prefix(':') {
                Some(port) => (name, port),
                None if after.is_empty() => (name, ""),
                None => return Err(bad("something other than a port follows the `]`")),
            }
        }
        None => match host.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err(
                    bad("the host has more than one colon").remedy("put an IPv6 address in brackets: [::1]")
                );
            }
            Some((name, port)) => (name, port),
            None => (host, ""),
        },
    };
    if name.contains(',') {
        return Err(bad("it names several hosts").remedy("name one"));
    }
    let port = match port {
        "" => PORT,
        text => text
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| bad(format!("the port `{text}` is not a number from 1 to 65535")))?,
    };
    let name = decode(name, "the host")?;
    Ok(Host::Tcp { name: if name.is_empty() { "localhost".to_owned() } else { name }, port })
}

/// Undoes percent encoding. `what` names the place in the error, which never quotes the text.
fn decode(text: &str, what: &str) -> Result<String> {
    url::decode(text, what, BAD_URL)
}

fn seconds(value: &str) -> Result<Duration> {
    match value.parse::<u32>() {
        // Something that runs for months must not wait for ever.
        Ok(0) => Ok(CONNECT_TIMEOUT),
        Ok(seconds) => Ok(Duration::from_secs(seconds.into())),
        Err(error) => Err(bad(format!("connect-timeout is a number of seconds: {error}"))),
    }
}

fn bad(message: impl Into<String>) -> Error {
    url::bad(BAD_URL, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn summary(url: &str) -> String {
        match url.parse::<Url>() {
            Ok(url) => {
                let password = url.password.as_ref().map_or("", Password::reveal);
                let database = url.database.as_deref().unwrap_or("-");
                format!("{}:{password}@{}/{database} {:?}", url.user, url.host, url.ssl_mode)
            }
            Err(error) => {
                error.to_string().replace("read the connection URL: ", "").replace(" [TW-MY-001]", "")
            }
        }
    }

    #[test]
    fn urls() {
        for (url, expected) in [
            ("mysql://u@h/d", "u:@h:3306/d Preferred"),
            ("mariadb://u:p@h:1/", "u:p@h:1/- Preferred"),
            ("mysql://u:p%40%2F%25@[::1]:3/d%20e", "u:p@/%@[::1]:3/d e Preferred"),
            ("mysql://u@?socket=/a/b.sock", "u:@/a/b.sock/- Preferred"),
            ("mysql://u@h/?ssl-mode=verify_identity", "u:@h:3306/- VerifyIdentity"),
            ("mysql://u@h/?ssl-ca=/a.pem", "u:@h:3306/- VerifyCa"),
            ("mysql://u@/", "u:@localhost:3306/- Preferred"),
        ] {
            assert_eq!(summary(url), expected, "{url}");
        }
    }

    #[test]
    fn mistakes_are_named_with_what_mends_them() {
        for (url, expected) in [
            ("postgres://u@h", "it begins neither"),
            ("mysql://h/d", "it names no user"),
            ("mysql://u@h:0/d", "the port `0` is not a number"),
            ("mysql://u@h:x/d", "the port `x` is not a number"),
            ("mysql://u@a,b/d", "it names several hosts"),
            ("mysql://u@::1/d", "more than one colon"),
            ("mysql://u:%zz@h/d", "the password holds a `%` without"),
            ("mysql://u:%00@h/d", "the password holds a `%` without"),
            ("mysql://u@h/d?sslmode=REQUIRED", "the nearest that is: `ssl-mode`"),
            ("mysql://u@h/d?ssl-mode=REQUIRE", "the nearest valid value: `REQUIRED`"),
            ("mysql://u@h/d?ssl-mode", "a parameter has no `=`"),
            ("mysql://u@h/d?ssl-cert=/a", "ssl-cert and ssl-key go together"),
            ("mysql://u@h/d?ssl-ca=/a&ssl-mode=REQUIRED", "does not look at certificates"),
            ("mysql://u@h/d?connect-timeout=soon", "connect-timeout is a number of seconds"),
        ] {
            assert!(summary(url).contains(expected), "{url}: {}", summary(url));
        }
    }

    #[test]
    fn a_password_never_prints() {
        let url: Url = "mysql://u:sesame@h/d".parse().unwrap();
        assert!(!format!("{url:?}").contains("sesame"));
        assert!(!summary("mysql://u:sesame%@h/d").contains("sesame"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_url_or_an_error(text in "\\PC*") {
            let url = format!("mysql://{text}");
            prop_assert!(!summary(&url).is_empty());
        }
    }
}
