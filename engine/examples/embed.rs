//! A program that embeds the engine: it mirrors what a MirrorMaker 2 properties file says until everything that is at
//! the source now is at the target, and prints the numbers.
//!
//!     cargo run --release -p kmirror-engine --example embed -- mm2.properties

use std::error::Error;
use std::time::Duration;

use kmirror_engine::Mirror;
use kmirror_engine::plan::{Plan, PlanArgs};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: embed FILE")?;
    let text = std::fs::read_to_string(&file)?;
    let plan = Plan::from_properties(&text, &file, &PlanArgs::default())?;

    let mut mirror = Mirror::start(plan)?;
    let status = mirror.status().clone();
    while !status.is_synced() {
        tokio::select! {
            refusal = mirror.refused() => return Err(refusal.into()),
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
        for flow in &status.flows {
            for (about, what) in flow.trouble() {
                eprintln!("{}: {about}: {what}", flow.name());
            }
        }
    }
    let metrics = mirror.metrics();
    mirror.stop().await?;
    write_out(&metrics)?;
    Ok(())
}

fn write_out(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    std::io::stdout().write_all(text.as_bytes())
}
