//! What a source refuses to read, or to go on from, with the code and the remedy that it tells.

use tailwater_integration_tests::mysql::{Installation, Server};
use tailwater_mysql::check::check;

use crate::followed::{Followed, assert_error, config, prepare};

const T: &str = "CREATE TABLE t (id INT PRIMARY KEY)";

/// What stops a first start at a server with these settings; `check` says the same.
async fn refused(installation: Installation, settings: &[&str], code: &str, remedy: &str) {
    let server = Server::start(installation, settings);
    prepare(&server, T);
    let mut followed = Followed::new(config(&server.url()));
    let error = followed.copy().await.expect_err("it must refuse");
    assert_error(&error, code, remedy);
    let findings = check(&config(&server.url())).await;
    let same = findings
        .iter()
        .any(|finding| finding.code == code && finding.remedy.as_deref() == error.remedy_text());
    assert!(same, "{findings:?}");
}

#[tokio::test]
async fn a_log_of_no_use_is_refused() {
    for installation in [Installation::mysql97(), Installation::mariadb118()] {
        refused(installation, &["binlog-format=STATEMENT"], "TW-MY-101", "binlog_format = ROW").await;
    }
    refused(Installation::mysql97(), &["skip-log-bin"], "TW-MY-100", "log_bin").await;
}

#[tokio::test]
async fn metadata_that_is_switched_off_is_asked_for() {
    for installation in [Installation::mysql97(), Installation::mariadb118()] {
        let server = Server::start(installation, &[]);
        prepare(&server, T);
        let mut followed = Followed::start(&server).await;
        server.execute("SET GLOBAL binlog_row_metadata = MINIMAL; ALTER TABLE shop.t ADD a INT UNSIGNED");
        server.execute("INSERT INTO shop.t VALUES (1, 4294967295)");
        followed.everything(&server).await;
        followed.assert_same(&server);
        server.execute("SET GLOBAL binlog_row_metadata = FULL; INSERT INTO shop.t VALUES (2, 4294967294)");
        followed.everything(&server).await;
        followed.assert_same(&server);
    }
}

#[tokio::test]
async fn another_server_is_told() {
    let (mysql, mariadb) =
        (Server::start(Installation::mysql97(), &[]), Server::start(Installation::mariadb118(), &[]));
    prepare(&mysql, T);
    prepare(&mariadb, T);
    let mut followed = Followed::start(&mysql).await;
    followed.config = config(&mariadb.url());
    assert_error(&followed.stopped_by(&mariadb).await, "TW-MY-062", "correct the url");
    // One of the same kind has not what the target has.
    for installation in [Installation::mysql97(), Installation::mariadb118()] {
        let other = Server::start(installation, &[]);
        prepare(&other, T);
        let of = if installation == Installation::mysql97() { &mysql } else { &mariadb };
        let mut followed = Followed::start(of).await;
        followed.everything(of).await;
        followed.config = config(&other.url());
        assert_error(&followed.stopped_by(&other).await, "TW-MY-061", "copy afresh");
    }
}

#[tokio::test]
async fn gtids_that_are_switched_off_are_told() {
    let mut server = Server::start(Installation::mysql97(), &[]);
    prepare(&server, T);
    let mut followed = Followed::start(&server).await;
    server.restart_with(&["gtid-mode=OFF_PERMISSIVE"]);
    assert_error(&followed.stopped_by(&server).await, "TW-MY-063", "gtid_mode = ON");
}

/// An account with nothing but what is asked for can copy and follow; each right that it lacks is named with its GRANT.
#[tokio::test]
async fn every_right_that_is_missing_is_named() {
    for installation in [Installation::mysql97(), Installation::mariadb118()] {
        let server = Server::start(installation, &[]);
        prepare(&server, T);
        server.execute("CREATE USER least@'%' IDENTIFIED BY 'p'");
        let config = config(&format!("mysql://least:p@{}", server.address()));
        // One after the other, because without the right to read a table nothing more is known of it.
        for _ in 0..5 {
            let findings = check(&config).await;
            let missing: Vec<_> = findings
                .iter()
                .filter(|found| found.code == "TW-MY-109" || found.code == "TW-MY-115")
                .collect();
            if missing.is_empty() {
                break;
            }
            for found in missing {
                let remedy = found.remedy.clone().unwrap();
                let grant = if remedy.starts_with("GRANT") {
                    remedy
                } else {
                    "GRANT SELECT ON marks.* TO least@'%'".to_owned()
                };
                server.execute(&grant);
            }
        }
        let granted = server.query("SHOW GRANTS FOR least@'%'");
        assert!(!format!("{granted:?}").contains("RELOAD"), "{granted:?}");
        server.execute("GRANT SELECT ON shop.* TO least@'%'");
        for found in check(&config).await {
            if let Some(grant) = found.remedy.filter(|remedy| remedy.starts_with("GRANT")) {
                server.execute(&grant);
            }
        }
        let mut followed = Followed::new(config);
        followed.copy().await.unwrap_or_else(|error| panic!("{error}"));
        server.execute("INSERT INTO shop.t VALUES (1)");
        followed.everything(&server).await;
        followed.assert_same(&server);
    }
}
