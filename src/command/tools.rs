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
            .or_else(|| beside(ENVOY))
            .ok_or_else(|| format!("no envoy on PATH and none at {ENVOY}; {HOW}")),
    }
}

fn find_module() -> Option<PathBuf> {
    beside(MODULE)
}

/// `file` under the working folder, else under the folder of the project that this command was built in.
fn beside(file: &str) -> Option<PathBuf> {
    let here = PathBuf::from(file);
    if here.is_file() {
        return Some(here);
    }
    // target/PROFILE/model-gateway
    let executable = std::env::current_exe().ok()?;
    let project = executable.ancestors().nth(3)?;
    Some(project.join(file)).filter(|path| path.is_file())
}

fn on_path(name: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))
}
