//! Prints samples, bytes of their pages, and jobs of a database, a line each: `cargo run --example sizes -- sqlite://PATH`.

use highwater_store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("name a database")?;
    let store = Store::open(&url).await?;
    let sizes = store.sizes().await?;
    println!("{}\n{}\n{}", sizes.samples, sizes.page_bytes, sizes.jobs);
    store.close().await;
    Ok(())
}
