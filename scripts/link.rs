//! The build script of every package that makes a program or a test which needs DuckDB's library: tells the program
//! where to find it when it runs. Cargo does not pass such a setting on from one package to another.

#[allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]
fn main() {
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    // Beside an installed program: /usr/local/bin/tailwater finds /usr/local/lib/libduckdb.so.
    let origin = if cfg!(target_os = "macos") { "@executable_path" } else { "$ORIGIN" };
    println!("cargo:rustc-link-arg=-Wl,-rpath,{origin}/../lib");
    // In the place it was built against: the checkout, wherever the target folder is.
    if let Ok(folder) = std::env::var("DUCKDB_LIB_DIR") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
}
