//! Files that Envoy follows, moved into place one by one.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{BOOTSTRAP, CLUSTER_TYPE, CLUSTERS, LISTENER_TYPE, LISTENERS, Render, auth, resources, secrets};

/// A file where the secrets are, for its folder.
const SECRETS: &str = "secrets/any";

/// A folder of files for Envoy.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
}

impl Files {
    /// Files below `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// It cannot be.
    pub fn create(folder: &Path) -> Result<Self, String> {
        let folder = std::path::absolute(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let files = Self { folder };
        for file in [LISTENERS, CLUSTERS, SECRETS] {
            if let Some(parent) = files.path(file).parent() {
                fs::create_dir_all(parent).map_err(|error| format!("{}: {error}", parent.display()))?;
            }
        }
        Ok(files)
    }

    /// Writes all of them, as `version`.
    ///
    /// # Errors
    /// One cannot be written.
    pub fn write_all(&self, render: &Render<'_>, version: &str) -> Result<(), String> {
        self.put(BOOTSTRAP, &render.bootstrap(&self.folder))?;
        self.put_secrets(render)?;
        self.put_clusters(version, render.clusters())?;
        self.put_listeners(version, render.listeners())
    }

    /// Says where Envoy finds the secrets that are in files. What stands there for providers never changes.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn put_secrets(&self, render: &Render<'_>) -> Result<(), String> {
        let mut files = secrets::files(render).into_iter().map(|file| (secrets::path(file), secrets::resource(file)));
        files.try_for_each(|(path, text)| self.put(&path.to_string_lossy(), &text))?;
        auth::resources(render).iter().try_for_each(|(path, text)| self.put(path, text))
    }

    /// Below which all of it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Gives Envoy these clusters.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn put_clusters(&self, version: &str, clusters: Vec<Value>) -> Result<(), String> {
        self.put(CLUSTERS, &resources(CLUSTER_TYPE, version, clusters))
    }

    /// Gives Envoy these listeners.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn put_listeners(&self, version: &str, listeners: Vec<Value>) -> Result<(), String> {
        self.put(LISTENERS, &resources(LISTENER_TYPE, version, listeners))
    }

    /// Where `file` is.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// Writes beside the folders that Envoy watches, then moves: Envoy never sees half a file.
    fn put(&self, file: &str, text: &str) -> Result<(), String> {
        let (path, fresh) = (self.path(file), self.path(".fresh"));
        fs::write(&fresh, text)
            .and_then(|()| fs::rename(&fresh, &path))
            .map_err(|error| format!("{}: {error}", path.display()))
    }
}
