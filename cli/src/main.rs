//! `kmirror`: flags, files, signals, exit codes.

mod demo;
mod demo_data;
mod exit;
mod progress;
mod run;
mod summary;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use kmirror_engine::plan::{Plan, PlanArgs};

use exit::Exit;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Mirrors Kafka clusters.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Mirrors what a properties file says.
    Run {
        file: PathBuf,
        #[arg(long, num_args = 1..)]
        clusters: Option<Vec<String>>,
        #[arg(long)]
        until_synced: bool,
        #[arg(long)]
        allow_same_cluster: bool,
    },
    /// Two clusters in this process and a mirror between them.
    Demo,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() else {
        return Exit::StartFailed.into();
    };
    runtime.block_on(execute(arguments.command)).into()
}

async fn execute(command: Command) -> Exit {
    match command {
        Command::Demo => demo::demo().await.unwrap_or(Exit::StartFailed),
        Command::Run { file, clusters, until_synced, allow_same_cluster } => {
            let Ok(text) = std::fs::read_to_string(&file) else { return Exit::Configuration };
            let name = file.display().to_string();
            match Plan::from_properties(&text, &name, &PlanArgs { clusters, allow_same_cluster }) {
                Ok(plan) => run::run(plan, until_synced).await,
                Err(error) => {
                    tracing::error!("{error}");
                    Exit::Configuration
                }
            }
        }
    }
}
