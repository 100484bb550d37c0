//! A file that may change at any time.

use std::path::{Path, PathBuf};

/// Looks at a file's content, since what replaces a file (an editor, a mounted config map) may tell of it in no other way.
#[derive(Debug)]
pub struct Follow {
    path: PathBuf,
    known: String,
    /// What was there at the last look, if it was not what is known.
    seen: Option<String>,
}

impl Follow {
    /// Follows the file at `path`, of which `known` is known.
    pub fn new(path: &Path, known: String) -> Self {
        Self { path: path.to_owned(), known, seen: None }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The content that was told last.
    pub fn known(&self) -> &str {
        &self.known
    }

    /// The new content, once the file has it at two looks in a row: it may be in the midst of being written.
    pub fn look(&mut self) -> Option<&str> {
        // A file that is not there, or not text, is most likely about to be replaced.
        let found = std::fs::read_to_string(&self.path).ok().filter(|found| *found != self.known);
        if found.is_none() || found != self.seen {
            self.seen = found;
            return None;
        }
        self.known = found?;
        self.seen = None;
        Some(&self.known)
    }
}

#[cfg(test)]
mod tests {
    use super::Follow;

    #[test]
    fn a_change_is_told_once_and_only_when_it_stays() {
        let path = std::env::temp_dir().join(format!("model-gateway-follow-{}", std::process::id()));
        let mut follow = Follow::new(&path, "a".to_owned());
        for (content, told) in [
            (Some("a"), None),
            (Some("b"), None),
            (Some("bc"), None),
            (None, None),
            (Some("bc"), None),
            (Some("bc"), Some("bc")),
            (Some("bc"), None),
            (Some("b"), None),
            (Some("bc"), None),
            (Some("bc"), None),
        ] {
            match content {
                Some(content) => std::fs::write(&path, content).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            assert_eq!(follow.look(), told, "{content:?}");
        }
        std::fs::remove_file(&path).unwrap();
    }
}
