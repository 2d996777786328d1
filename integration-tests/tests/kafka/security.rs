//! TLS, certificates and logins against the real broker: what works, and what a person reads where it does not.

use std::fmt::Write as _;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tailwater_core::ErrorKind;
use tailwater_core::checkpoint::replace_file;
use tailwater_integration_tests::kafka::{self, Broker};
use tailwater_kafka::{Config, Delivery};
use tempfile::TempDir;

use crate::feed::{config, refused, set, write_until};

const PATIENCE: Duration = Duration::from_secs(60);

/// Certificates in a folder: an authority, one for the broker, one for us.
struct Certificates {
    folder: TempDir,
    broker_chain: String,
    broker_key: String,
    authority: String,
}

impl Certificates {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let signed = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new([name.to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            (params.signed_by(&key, &authority).unwrap().pem(), key.serialize_pem())
        };
        let folder = tempfile::tempdir().unwrap();
        let (broker_chain, broker_key) = signed("127.0.0.1");
        let (own, own_key) = signed("tailwater");
        let authority = authority.pem();
        for (name, text) in [("ca.pem", &authority), ("own.pem", &own), ("own.key", &own_key)] {
            replace_file(&folder.path().join(name), text.as_bytes()).unwrap();
        }
        Self { folder, broker_chain, broker_key, authority }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A broker that speaks TLS to clients, with these settings besides.
    fn broker(&self, listener: &str, more: &[(&str, &str)], format: &[&str]) -> Broker {
        let one_line = |pem: &str| pem.trim().replace('\n', " \\n ");
        let protocols = format!("CONTROLLER:PLAINTEXT,{listener}:{listener},INTERNAL:PLAINTEXT");
        let more: Vec<(String, String)> = more.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        let settings = |port: u16| {
            let listeners = format!("{listener}://127.0.0.1:{port},CONTROLLER://127.0.0.1:CONTROLLER_PORT");
            [
                ("listeners", listeners),
                ("listener.security.protocol.map", protocols),
                ("inter.broker.listener.name", listener.to_owned()),
                ("ssl.keystore.type", "PEM".to_owned()),
                ("ssl.keystore.certificate.chain", one_line(&self.broker_chain)),
                ("ssl.keystore.key", one_line(&self.broker_key)),
                ("ssl.truststore.type", "PEM".to_owned()),
                ("ssl.truststore.certificates", one_line(&self.authority)),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .chain(more)
            .collect()
        };
        Broker::start_with(settings, format)
    }
}

fn expect(config: &Config, code: &str, secret: &str) {
    let error = refused(config);
    assert_eq!((error.code(), error.kind()), (code, ErrorKind::Operator), "{error}");
    let (mut text, findings) = (error.to_string(), tailwater_kafka::check(config, &[]));
    assert!(findings.iter().any(|finding| finding.code == code), "{findings:?}");
    write!(text, "{findings:?}{config:?}").unwrap();
    assert!(!text.contains(secret), "{text}");
}

/// Time-outs that a refused login is blamed for are short in the tests.
fn impatient(config: &mut Config) {
    set(config, "reconnect.backoff.max.ms", "500");
}

fn works(broker: &Broker, config: &Config, client: impl Fn(&str) -> Option<String>) {
    write_until(config, 3, PATIENCE);
    let mut reader = broker.client();
    for name in ["security.protocol", "ssl.ca.location", "ssl.certificate.location", "ssl.key.location"]
        .into_iter()
        .chain(["sasl.mechanisms", "sasl.username", "sasl.password"])
    {
        if let Some(value) = client(name) {
            reader.set(name, value);
        }
    }
    assert_eq!(kafka::read(&reader, &crate::feed::topic(config)).len(), 15);
}

#[test]
fn scram_over_tls() {
    let certificates = Certificates::new();
    let broker = certificates.broker(
        "SASL_SSL",
        &[
            ("sasl.enabled.mechanisms", "SCRAM-SHA-512"),
            ("sasl.mechanism.inter.broker.protocol", "SCRAM-SHA-512"),
            (
                "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config",
                "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"admin\" password=\"a secret\";",
            ),
        ],
        &["--add-scram", "SCRAM-SHA-512=[name=admin,password=a secret]"],
    );
    let mut config = config(&broker, Delivery::ExactlyOnce);
    impatient(&mut config);
    let settings = [
        ("security.protocol", "SASL_SSL".to_owned()),
        ("ssl.ca.location", certificates.file("ca.pem")),
        ("sasl.mechanisms", "SCRAM-SHA-512".to_owned()),
        ("sasl.username", "admin".to_owned()),
        ("sasl.password", "a secret".to_owned()),
    ];
    for (name, value) in &settings {
        set(&mut config, name, value);
    }
    works(&broker, &config, |name| settings.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone()));

    let mut wrong = config.clone();
    set(&mut wrong, "sasl.password", "wrong secret");
    expect(&wrong, "TW-KAFKA-003", "wrong secret");
    let mut wrong = config.clone();
    set(&mut wrong, "ssl.ca.location", &certificates.file("own.pem"));
    expect(&wrong, "TW-KAFKA-004", "a secret");
}

#[test]
fn certificates_on_both_sides() {
    let certificates = Certificates::new();
    let broker = certificates.broker("SSL", &[("ssl.client.auth", "required")], &[]);
    let mut config = config(&broker, Delivery::AtLeastOnce);
    impatient(&mut config);
    let settings = [
        ("security.protocol", "SSL".to_owned()),
        ("ssl.ca.location", certificates.file("ca.pem")),
        ("ssl.certificate.location", certificates.file("own.pem")),
        ("ssl.key.location", certificates.file("own.key")),
    ];
    for (name, value) in &settings {
        set(&mut config, name, value);
    }
    works(&broker, &config, |name| settings.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone()));
}

#[test]
fn plain_oauthbearer_and_missing_rights() {
    let broker = Broker::start_guarded(&[
        ("sasl.enabled.mechanisms", "PLAIN,OAUTHBEARER"),
        (
            "listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config",
            "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"admin\";",
        ),
    ]);
    let mut config = config(&broker, Delivery::ExactlyOnce);
    impatient(&mut config);
    set(&mut config, "security.protocol", "SASL_PLAINTEXT");
    let mut plain = config.clone();
    for (name, value) in
        [("sasl.mechanisms", "PLAIN"), ("sasl.username", "admin"), ("sasl.password", "secret")]
    {
        set(&mut plain, name, value);
    }
    write_until(&plain, 2, PATIENCE);

    // Of no right to anything: neither to make topics nor to see them.
    let mut guest = plain.clone();
    guest.position_topic.push_str("-guest");
    set(&mut guest, "sasl.username", "guest");
    set(&mut guest, "sasl.password", "guest");
    let error = refused(&guest);
    assert_eq!((error.code(), error.kind()), ("TW-KAFKA-005", ErrorKind::Operator), "{error}");

    // {"alg":"none"} and {"sub":"admin","iat":0,"exp":9999999999}
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsImlhdCI6MCwiZXhwIjo5OTk5OTk5OTk5fQ.";
    replace_file(&file, token.as_bytes()).unwrap();
    set(&mut config, "sasl.mechanisms", "OAUTHBEARER");
    config.oauth_token_file = Some(file.clone());
    write_until(&config, 4, PATIENCE);

    replace_file(&file, b"eyJhbGciOiJub25lIn0.rubbish.").unwrap();
    expect(&config, "TW-KAFKA-021", "rubbish");
    check_as(&broker, &plain);
}

/// The reader has to log in too.
fn check_as(broker: &Broker, config: &Config) {
    let mut reader = broker.client();
    reader.set("security.protocol", "SASL_PLAINTEXT").set("sasl.mechanisms", "PLAIN");
    reader.set("sasl.username", "admin").set("sasl.password", "secret");
    assert_eq!(kafka::read(&reader, &crate::feed::topic(config)).len(), 20);
}
