//! The operator's file: read, checked, every mistake told with its line.

mod shape;
pub mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use model_gateway::config::{Config, File, Mistake};
use serde_json::Value;

use self::shape::Shape;
use self::yaml::Data;

/// A file without mistakes.
#[derive(Debug)]
pub struct Loaded {
    /// As it is written.
    pub file: File,
    /// What it means.
    pub config: Config,
    name: String,
    lines: BTreeMap<String, usize>,
}

/// All that is wrong with a file, in the order of its lines.
#[derive(Debug)]
pub struct Mistakes {
    name: String,
    mistakes: Vec<(usize, Mistake)>,
}

/// Reads and checks the file at `path`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(path: &Path) -> Result<Loaded, Mistakes> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => check(&name, &text),
        Err(error) => Err(Mistakes::one(&name, 1, format!("cannot be read: {error}"))),
    }
}

/// Checks `text`, which `name` stands for.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check(name: &str, text: &str) -> Result<Loaded, Mistakes> {
    let node = yaml::parse(text).map_err(|error| Mistakes::one(name, error.line, error.message))?;
    match node.data {
        Data::Map(_) => {}
        Data::Null => return Err(Mistakes::one(name, 1, "nothing in it; write `providers` and `models`")),
        _ => return Err(Mistakes::one(name, node.line, "expected a mapping, with `providers` and `models`")),
    }
    let schema = schema();
    let (shape, value) = Shape::check(&node, &schema);
    let mut mistakes = shape.mistakes.clone();
    match serde_json::from_value::<File>(value) {
        Ok(file) => match Config::check(&file) {
            Ok(config) if mistakes.is_empty() => {
                return Ok(Loaded { file, config, name: name.to_owned(), lines: shape.lines });
            }
            Ok(_) => {}
            Err(found) => {
                // What stands in the place of a mistake is none itself.
                let own = found.into_iter().filter(|mistake| !shape.is_set_aside(&mistake.path));
                mistakes.extend(own.map(|mistake| (shape.line(&mistake.path), mistake)));
            }
        },
        Err(error) => mistakes.push((1, Mistake { path: String::new(), message: error.to_string() })),
    }
    Err(Mistakes::sorted(name, mistakes))
}

/// The JSON Schema of the operator's file.
pub fn schema() -> Value {
    schemars::schema_for!(File).to_value()
}

impl Loaded {
    /// What `file` means, which `name` stands for.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn of(name: &str, file: File) -> Result<Self, Mistakes> {
        match Config::check(&file) {
            Ok(config) => Ok(Self { file, config, name: name.to_owned(), lines: BTreeMap::new() }),
            Err(mistakes) => Err(Mistakes::sorted(name, mistakes.into_iter().map(|mistake| (1, mistake)).collect())),
        }
    }

    /// Checks that every environment variable that the file names has a value.
    ///
    /// # Errors
    /// Those that have none.
    pub fn check_variables(&self, value: impl Fn(&str) -> Option<String>) -> Result<(), Mistakes> {
        let mut mistakes = Vec::new();
        for provider in self.config.providers.values() {
            let Some(variable) = provider.api_key.as_ref().and_then(|key| key.variable()) else { continue };
            let path = format!("providers.{}.api_key", provider.name);
            let line = self.lines.get(&path).copied().unwrap_or(1);
            let what = match value(variable) {
                None => "is not set",
                Some(value) if value.trim().is_empty() => "is empty",
                Some(_) => continue,
            };
            let message = format!("the environment variable {variable} {what}; set it, or leave `api_key` out");
            mistakes.push((line, Mistake { path, message }));
        }
        if mistakes.is_empty() { Ok(()) } else { Err(Mistakes::sorted(&self.name, mistakes)) }
    }
}

impl Mistakes {
    fn one(name: &str, line: usize, message: impl Into<String>) -> Self {
        Self::sorted(name, vec![(line, Mistake { path: String::new(), message: message.into() })])
    }

    fn sorted(name: &str, mut mistakes: Vec<(usize, Mistake)>) -> Self {
        mistakes.sort_by_key(|(line, _)| *line);
        Self { name: name.to_owned(), mistakes }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (line, Mistake { path, message })) in self.mistakes.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            match path.as_str() {
                "" => write!(f, "{}:{line}: {message}", self.name)?,
                path => write!(f, "{}:{line}: {path}: {message}", self.name)?,
            }
        }
        Ok(())
    }
}
