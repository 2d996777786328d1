use tailwater_postgres::*;
#[tokio::main]
async fn main() {
    let a: Vec<String> = std::env::args().skip(1).collect();
    let url: url::Url = a[1].parse().unwrap();
    let c = config::Config::new("shop", url.clone(), pattern::Patterns::parse(a[2..].iter().map(String::as_str)).unwrap());
    let r: tailwater_core::Result<String> = async {
        match a[0].as_str() {
            "ensure" => { let mut k = Connection::open(&url, Mode::Replication).await?; setup::supported(k.server_version())?; setup::ensure_publication(&mut k, &c).await?; setup::ensure_no_slot(&mut k,&c).await?; k.finish().await?; Ok("ok".into()) }
            "check" => { for f in check::check(&c).await { println!("{f}"); } Ok("checked".into()) }
            "drop" => Ok(format!("{:?}", setup::drop_made(&c).await?)),
            _ => unreachable!()
        }
    }.await;
    match r { Ok(s) => println!("{s}"), Err(e) => println!("{e}") }
}
