//! Where the module and Envoy are.

use std::path::{Path, PathBuf};

/// Where `make build` leaves the module, under the folder of the project.
const MODULE: &str = "target/wasm32-wasip1/release/model_gateway.wasm";
/// Where `make setup` leaves Envoy, under the folder of the project.
const ENVOY: &str = ".tools/bin/envoy";

/// The module for a configuration that may be meant for another machine: where it should be if it is nowhere here.
pub fn module_to_render(given: Option<PathBuf>) -> PathBuf {
    given.or_else(find_module).unwrap_or_else(|| MODULE.into())
}

/// The module, for an Envoy on this machine.
///
/// # Errors
/// It is not there; the message says what makes it.
pub fn module(given: Option<PathBuf>) -> Result<PathBuf, String> {
    match given {
        Some(path) if path.is_file() => absolute(&path),
        Some(path) => Err(format!("no module at {}; `make build` makes one at {MODULE}", path.display())),
        None => match find_module() {
            Some(path) => absolute(&path),
            None => Err(format!("no module at {MODULE}; make it with `make build`, or say where it is with --module")),
        },
    }
}

/// Envoy.
///
/// # Errors
/// It is not there; the message says what installs it.
pub fn envoy(given: Option<PathBuf>) -> Result<PathBuf, String> {
    const HOW: &str = "install it with `make setup`, or say where it is with --envoy";
    match given {
        // A name without a folder is looked up as a shell would.
        Some(name) if name.components().count() == 1 && !name.is_file() => {
            on_path(&name).ok_or_else(|| format!("no {} on PATH; {HOW}", name.display()))
        }
        Some(path) if path.is_file() => absolute(&path),
        Some(path) => Err(format!("no Envoy at {}; {HOW}", path.display())),
        None => on_path(Path::new("envoy"))
            .or_else(find_envoy)
            .ok_or_else(|| format!("no envoy on PATH and none at {ENVOY}; {HOW}")),
    }
}

fn find_module() -> Option<PathBuf> {
    // Wherever this command was built to, the module was too: TARGET/PROFILE/model-gateway.
    let built = || above_executable(2).map(|target| target.join("wasm32-wasip1/release/model_gateway.wasm"));
    Some(PathBuf::from(MODULE)).filter(|path| path.is_file()).or_else(built).filter(|path| path.is_file())
}

fn find_envoy() -> Option<PathBuf> {
    let project = || above_executable(3).map(|project| project.join(ENVOY));
    Some(PathBuf::from(ENVOY)).filter(|path| path.is_file()).or_else(project).filter(|path| path.is_file())
}

/// The folder so many levels above this command.
fn above_executable(levels: usize) -> Option<PathBuf> {
    std::env::current_exe().ok()?.ancestors().nth(levels).map(Path::to_owned)
}

fn on_path(name: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))
}
