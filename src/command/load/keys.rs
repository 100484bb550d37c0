//! A file of keys beside the operator's file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use model_gateway::config::{KeyFile, Mistake};

use super::shape::{self, Shape};
use super::yaml::{self, Data};
use super::{Mistakes, Place};

/// What is in such a file, and where.
#[derive(Debug)]
pub struct KeysFile {
    name: String,
    /// As they are written.
    pub keys: Vec<KeyFile>,
    lines: BTreeMap<String, usize>,
}

impl KeysFile {
    /// Where the file is that the operator's file, `file`, names as `keys_file`.
    pub fn path(file: &Path, keys_file: &str) -> PathBuf {
        file.parent().unwrap_or(Path::new("")).join(keys_file)
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// Everything in its form that is wrong.
    pub fn read(path: &Path) -> Result<Self, Mistakes> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Mistakes::one(&name, 1, format!("`keys_file` cannot be read: {error}")))?;
        Self::parse(name, &text)
    }

    fn parse(name: String, text: &str) -> Result<Self, Mistakes> {
        let node = yaml::parse(text).map_err(|error| Mistakes::one(&name, error.line, error.message))?;
        match node.data {
            Data::List(_) => {}
            Data::Null => return Ok(Self { name, keys: Vec::new(), lines: BTreeMap::new() }),
            _ => {
                return Err(Mistakes::one(&name, node.line, "expected a list of keys: `- { name: ..., sha256: ... }`"));
            }
        }
        let schema = schemars::schema_for!(Vec<KeyFile>).to_value();
        let (shape, value) = Shape::check(&node, &schema);
        if !shape.mistakes.is_empty() {
            let mistakes = shape.mistakes.into_iter();
            return Err(Mistakes::sorted(mistakes.map(|(line, mistake)| (Place::new(&name, line), mistake)).collect()));
        }
        let keys = serde_json::from_value(value).map_err(|error| Mistakes::one(&name, 1, error.to_string()))?;
        Ok(Self { name, keys, lines: shape.lines })
    }

    /// The place of a mistake in one of its keys, which follow `before` others in configuration.
    pub(super) fn own(&self, mistake: &Mistake, before: usize) -> Option<(Place, Mistake)> {
        let (index, rest) = mistake.path.strip_prefix("keys[")?.split_once(']')?;
        let path = format!("[{}]{rest}", index.parse::<usize>().ok()?.checked_sub(before)?);
        let place = Place::new(&self.name, shape::line(&self.lines, &path));
        Some((place, Mistake { path, message: mistake.message.clone() }))
    }
}
