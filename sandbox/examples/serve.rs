//! Serves a sandbox until its standard input is closed.
//!
//! `cargo run -p kmirror-sandbox --example serve -- [BROKERS [PARTITIONS]]` prints the bootstrap servers on the first line;
//! unknown topics are created with that many partitions.

use std::error::Error;
use std::io::Read;

use kmirror_sandbox::{Sandbox, SandboxOptions};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let brokers = arguments.next().map_or(Ok(1), |brokers| brokers.parse())?;
    let default_partitions = arguments.next().map_or(Ok(1), |partitions| partitions.parse())?;
    let sandbox =
        Sandbox::start(SandboxOptions { brokers, default_partitions, ..SandboxOptions::default() }).await?;
    #[expect(clippy::print_stdout, reason = "the address is what this program has to say")]
    {
        println!("{}", sandbox.bootstrap());
    }
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}
