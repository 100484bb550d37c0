//! The native command.

// Cargo builds it for the tests of every target; where there is no system to run it on, it is empty.
#![cfg_attr(target_family = "wasm", no_main)]
#![cfg(not(target_family = "wasm"))]

mod explain;
mod key;
mod load;
mod mock;
mod prices;
mod render;
mod report;
mod run;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Turns Envoy into an LLM gateway.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// The module (.wasm) that Envoy loads. Default: the one that `make build` made.
    #[arg(long, global = true, value_name = "PATH")]
    module: Option<PathBuf>,
    /// The Envoy to start. Default: `envoy` on PATH, else the one that `make setup` installed.
    #[arg(long, global = true, value_name = "PATH")]
    envoy: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say all that is wrong with a configuration file.
    Check {
        /// The configuration file.
        file: PathBuf,
    },
    /// Say where a request would go, and why.
    Explain(explain::Arguments),
    /// Write Envoy's configuration.
    Render {
        /// The configuration file.
        file: PathBuf,
        /// Write a bootstrap and files that Envoy follows to this folder, instead of one static bootstrap to standard output.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Serve: start Envoy, and follow the configuration file as it changes.
    Run {
        /// The configuration file. Default: real providers for the keys in the environment, simulated ones for the others.
        file: Option<PathBuf>,
        #[command(flatten)]
        addresses: run::Addresses,
    },
    /// Serve simulated providers: every dialect, streams, tools, failures on demand.
    Mock(mock::Args),
    /// Keys for clients.
    #[command(subcommand)]
    Key(key::Key),
    /// Say what was used and what it cost, from access logs.
    Report(report::Arguments),
    /// Print the JSON Schema of the configuration file.
    Schema,
    /// Derive the built-in table of prices again, from LiteLLM's.
    Prices(prices::Derive),
}

/// A command that failed: what to tell. It has been told in full when this is empty.
type Outcome = Result<ExitCode, String>;

fn main() -> ExitCode {
    let Arguments { module, envoy, command } = Arguments::parse();
    let outcome = match command {
        Command::Check { file } => check(&file),
        Command::Explain(arguments) => explain::run(&arguments).and_then(|text| print(&text)),
        Command::Render { file, out } => render_command(&file, out.as_deref(), module),
        Command::Run { file, addresses } => run_command(file.as_deref(), addresses, module, envoy),
        Command::Mock(args) => Ok(mock::run(&args)),
        Command::Key(key) => key.run().and_then(|text| print(&text)),
        Command::Report(arguments) => report::run(&arguments).and_then(|text| print(&text)),
        Command::Schema => print(&format!("{:#}\n", load::schema())),
        Command::Prices(arguments) => prices::derive(&arguments).and_then(|done| print(&done)),
    };
    outcome.unwrap_or_else(|message| {
        eprintln!("{message}");
        ExitCode::FAILURE
    })
}

fn check(file: &Path) -> Outcome {
    let loaded = load::load(file).map_err(|mistakes| mistakes.to_string())?;
    let (providers, models) = (loaded.config.providers.len(), loaded.config.models.len());
    print(&format!("{}: no mistakes; {providers} providers, {models} models\n", file.display()))
}

fn render_command(file: &Path, out: Option<&Path>, module: Option<PathBuf>) -> Outcome {
    let loaded = load::load(file).map_err(|mistakes| mistakes.to_string())?;
    let module = tools::module_to_render(module);
    let authorities = render::authorities();
    let metadata = render::secrets::metadata_host();
    let render = render::Render {
        file: &loaded.file,
        config: &loaded.config,
        module: &module,
        authorities: &authorities,
        metadata: &metadata,
        secrets: None,
    };
    match out {
        None => print(&render.static_bootstrap()),
        Some(folder) => {
            let files = render::Files::create(folder)?;
            files.write_all(&render::Render { secrets: Some(files.folder()), ..render }, "1")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn run_command(
    file: Option<&Path>,
    addresses: run::Addresses,
    module: Option<PathBuf>,
    envoy: Option<PathBuf>,
) -> Outcome {
    let parts = run::Parts {
        module: tools::module(module)?,
        envoy: tools::envoy(envoy)?,
        authorities: render::authorities(),
        metadata: render::secrets::metadata_host(),
    };
    run::run(file, addresses, parts)
}

fn print(text: &str) -> Outcome {
    use std::io::Write;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // Who reads it has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(format!("standard output: {error}")),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}
