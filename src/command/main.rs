//! The native command.
mod mock;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "model-gateway", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve simulated providers: every dialect, streams, tools, failures on demand
    Mock(mock::Args),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Mock(args) => mock::run(&args),
    }
}
