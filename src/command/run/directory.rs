//! A folder that is there as long as the command runs.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A folder that none but this user can read, removed in the end.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// A fresh one.
    ///
    /// # Errors
    /// It cannot be made, or is there already.
    pub fn create() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("model-gateway-{}", std::process::id()));
        // Left by a process of the same id that was killed.
        let _ = std::fs::remove_dir_all(&path);
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left lies in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
