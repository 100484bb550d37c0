//! Recorded traffic of real providers, read in place: from `MODEL_GATEWAY_RECORDINGS`, else from `../shared/recordings`.
//! Where there is none, tests say so and pass.

// Each test uses a part of it.
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// One request and what came back.
pub struct Recording {
    pub id: String,
    pub provider: String,
    pub model: String,
    pub status: u16,
    /// What was changed of it before it got here.
    pub edited: Vec<Value>,
    pub request: Value,
    pub body: String,
    /// A body that is no text.
    pub bytes: Vec<u8>,
    /// `x-amzn-errortype`
    pub error_name: Option<String>,
}

/// All recordings of an `endpoint` whose provider is `wanted`, by name: there have to be some.
pub fn load(endpoint: &str, wanted: impl Fn(&str) -> bool) -> Option<Vec<Recording>> {
    let recordings = load_any(endpoint, wanted)?;
    assert!(!recordings.is_empty(), "no recordings of {endpoint} in {}", folder().display());
    Some(recordings)
}

/// The same, and there may be none.
pub fn load_any(endpoint: &str, wanted: impl Fn(&str) -> bool) -> Option<Vec<Recording>> {
    let folder = folder();
    let Ok(files) = fs::read_dir(&folder) else {
        println!("skipped: no recordings at {}", folder.display());
        return None;
    };
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
    paths.sort_unstable();
    let recordings = paths.iter().filter_map(|path| {
        let mut recording: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let text = |place: &Value| place.as_str().unwrap_or_default().to_owned();
        (recording["endpoint"] == endpoint && wanted(&text(&recording["provider"]))).then(|| Recording {
            id: text(&recording["id"]),
            provider: text(&recording["provider"]),
            model: text(&recording["model"]),
            status: recording["response"]["status"].as_u64().unwrap().try_into().unwrap(),
            body: text(&recording["response"]["body_text"]),
            bytes: base64(recording["response"]["body_base64"].as_str().unwrap_or_default()),
            error_name: recording["response"]["headers"]["x-amzn-errortype"].as_str().map(str::to_owned),
            edited: recording["edits"].as_array().cloned().unwrap_or_default(),
            request: recording["request"]["body"].take(),
        })
    });
    Some(recordings.collect())
}

/// Where to cut a stream of so many bytes in two: everywhere, or at some fifty places of a long one.
pub fn cuts(length: usize) -> impl Iterator<Item = usize> {
    (0..length).step_by(if length <= 3072 { 1 } else { 1 + length / 50 })
}

pub fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for six in text.chars().filter(|c| *c != '=').map(|c| ALPHABET.find(c).unwrap()) {
        bits = bits << 6 | six as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

fn folder() -> PathBuf {
    let given = std::env::var_os("MODEL_GATEWAY_RECORDINGS").map(PathBuf::from);
    given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings"))
}
