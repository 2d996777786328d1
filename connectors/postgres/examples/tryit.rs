use tailwater_postgres::*;
#[tokio::main]
async fn main() {
    for arg in std::env::args().skip(1) {
        let (mode, u) = match arg.strip_prefix("repl+") { Some(u) => (Mode::Replication, u.to_owned()), None => (Mode::Sql, arg.clone()) };
        let r: tailwater_core::Result<_> = async {
            let url: url::Url = u.parse()?;
            let mut c = Connection::open(&url, mode).await?;
            let rows = c.query("SELECT ssl, version, current_user, current_setting('DateStyle') FROM pg_stat_ssl, pg_stat_activity a WHERE a.pid = pg_backend_pid() AND pg_stat_ssl.pid=a.pid; SELECT ssl, version, current_user, current_setting('extra_float_digits') FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()").await?;
            let v = c.server_version();
            c.finish().await?;
            Ok(format!("{v} {rows:?}"))
        }.await;
        match r { Ok(s) => println!("{arg}\n   OK {s}"), Err(e) => println!("{arg}\n   {e}") }
    }
}
