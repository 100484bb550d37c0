//! How the code is laid out, kept that way: see ARCHITECTURE.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

/// Files longer than this want to be two; tests at their end do not count.
const MOST_LINES: usize = 600;

/// The same for what a provider needs.
const MOST_LINES_OF_PROVIDERS: usize = 400;

/// What a folder's code never names, tests aside: the module on the right.
const LAYERS: &[(&str, &[&str])] = &[
    ("src/frame/", &["json", "chat", "error", "providers", "clients", "splice", "exchange", "config"]),
    ("src/dialect/", &["frame", "chat", "error", "providers", "clients", "splice", "exchange", "config"]),
    (
        "src/chance.rs",
        &["frame", "json", "chat", "error", "providers", "clients", "splice", "exchange", "config", "route"],
    ),
    (
        "src/words.rs",
        &["frame", "json", "chat", "error", "providers", "clients", "splice", "exchange", "config", "route"],
    ),
    (
        "src/headers.rs",
        &["frame", "json", "chat", "error", "providers", "clients", "splice", "exchange", "config", "route"],
    ),
    ("src/json/", &["frame", "chat", "error", "providers", "clients", "splice", "exchange", "config"]),
    ("src/chat.rs", &["frame", "providers", "clients", "splice", "exchange", "config"]),
    ("src/price/", &["frame", "dialect", "error", "providers", "clients", "splice", "exchange", "config", "route"]),
    ("src/facts.rs", &["frame", "dialect", "error", "providers", "clients", "splice", "exchange", "config", "route"]),
    (
        "src/tokens/",
        &["frame", "chat", "error", "providers", "clients", "splice", "exchange", "config", "route", "price"],
    ),
    (
        "src/redact.rs",
        &["frame", "dialect", "chat", "error", "providers", "clients", "splice", "exchange", "config", "route"],
    ),
    ("src/embedding.rs", &["frame", "providers", "clients", "splice", "exchange", "config"]),
    (
        "src/live/",
        &["frame", "chat", "json", "providers", "clients", "splice", "exchange", "dialect", "tokens", "config"],
    ),
    ("src/limits/", &["frame", "chat", "json", "providers", "clients", "splice", "exchange", "dialect", "tokens"]),
    ("src/clients/", &["providers", "splice", "exchange", "config", "route"]),
    ("src/providers/", &["clients", "splice", "exchange", "config", "route"]),
    ("src/splice/", &["clients", "providers", "exchange", "config", "route"]),
    ("src/config/", &["clients", "splice", "exchange", "frame"]),
    ("src/route/", &["clients", "splice", "exchange", "frame"]),
];

/// What only the shell and the native command have: a clock, chance, threads, the operating system.
const NOT_IN_THE_CORE: &[&str] =
    &["SystemTime", "Instant", "rand", "getrandom", "thread", "thread_local", "fs", "println", "eprintln"];

struct Source {
    /// From the root of the project, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// Names in the code, without its tests: comments and texts are none.
    fn names(&self) -> Vec<String> {
        let code = self.text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let mut names = Vec::new();
        for line in code.lines() {
            let line = line.split("//").next().unwrap();
            let outside = line.split('"').step_by(2);
            for text in outside {
                // A path stays in one piece, and what is imported is marked, so that a module is told from a variable.
                let words = text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
                let prefix = if line.trim_start().starts_with("use ") { "use::" } else { "" };
                names.extend(words.filter(|word| !word.is_empty()).map(|word| format!("{prefix}{word}")));
            }
        }
        names
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs")
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, found) } else { found.push(path) }
    }
}

fn files(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    let sources = found.into_iter().filter_map(|path| {
        let text = fs::read_to_string(&path).ok()?;
        let path = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        Some(Source { path, text })
    });
    sources.collect()
}

/// Fails with all that `wrong` finds in any file of `src`.
fn check(wrong: impl Fn(&Source) -> Vec<String>) {
    let mut sources = files("src");
    // The table of prices is data.
    sources.retain(|source| source.path.ends_with(".rs"));
    assert!(sources.len() > 20);
    let found: Vec<_> = sources
        .iter()
        .flat_map(|source| wrong(source).into_iter().map(|what| format!("{}: {what}", source.path)))
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// Whether `name` is a path through `module`, or imports it.
fn is_module(name: &str, module: &str) -> bool {
    name.contains("::") && name.split("::").any(|part| part == module)
}

/// The same for a module of the crate itself.
fn is_own_module(name: &str, module: &str) -> bool {
    match name.strip_prefix("use::") {
        Some(imported) if !imported.starts_with("crate::") => imported.split("::").next() == Some(module),
        _ => name.trim_start_matches("use::").starts_with("crate::") && is_module(name, module),
    }
}

#[test]
fn only_the_shell_knows_the_host() {
    check(|source| {
        let names = source.names();
        let named = names.iter().any(|name| name.split("::").any(|part| part == "proxy_wasm"));
        let found = (named && !source.path.starts_with("src/shell/")).then(|| "names proxy_wasm".to_owned());
        found.into_iter().collect()
    });
    let elsewhere = files("src/shell").iter().any(|source| source.text.contains("proxy_wasm"));
    assert!(elsewhere, "nothing names proxy_wasm any more: this test looks for the wrong name");
}

#[test]
fn the_core_has_no_clock_and_leaves_nothing_to_chance() {
    check(|source| {
        if ["src/command/", "src/shell/"].iter().any(|folder| source.path.starts_with(folder)) {
            return Vec::new();
        }
        let names = source.names();
        let found =
            NOT_IN_THE_CORE.iter().filter(|word| names.iter().any(|name| name.split("::").any(|part| part == **word)));
        found.map(|word| format!("names {word}")).collect()
    });
}

#[test]
fn layers_know_only_what_they_stand_on() {
    check(|source| {
        let layers = LAYERS.iter().filter(|(layer, _)| source.path.starts_with(layer) && !source.is_test());
        let names = source.names();
        let found = layers
            .flat_map(|(_, others)| others.iter().filter(|other| names.iter().any(|name| is_own_module(name, other))));
        found.map(|other| format!("names {other}")).collect()
    });
}

#[test]
fn providers_do_not_know_each_other() {
    let stem = |path: &str| path["src/providers/".len()..].split(['/', '.']).next().unwrap().to_owned();
    // What several share is private to the folder.
    let list = fs::read_to_string(root().join("src/providers/mod.rs")).unwrap();
    let is_kind = |name: &&str| list.contains(&format!("    &{name}::")) || list.contains(&format!(" = {name}::"));
    let modules =
        list.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'));
    let kinds: Vec<_> = modules.filter(is_kind).collect();
    assert!(kinds.contains(&"openai") && kinds.contains(&"azure") && kinds.contains(&"vertex"), "{kinds:?}");
    check(|source| {
        if !source.path.starts_with("src/providers/") || source.path.ends_with("providers/mod.rs") || source.is_test() {
            return Vec::new();
        }
        let names = source.names();
        let others = kinds.iter().filter(|kind| **kind != stem(&source.path));
        let found = others.filter(|other| names.iter().any(|name| is_module(name, other)));
        found.map(|other| format!("names {other}")).collect()
    });
}

#[test]
fn every_file_says_what_it_is_and_is_not_too_long() {
    check(|source| {
        let mut found = Vec::new();
        if !source.text.starts_with("//! ") {
            found.push("does not begin with a `//!` doc".to_owned());
        }
        let lines = source.text.split("#[cfg(test)]\nmod tests").next().unwrap().lines().count();
        let is_providers = source.path.starts_with("src/providers/") && !source.is_test();
        let most = if is_providers { MOST_LINES_OF_PROVIDERS } else { MOST_LINES };
        if lines > most {
            found.push(format!("has {lines} lines, and {most} are enough"));
        }
        found
    });
}

#[test]
fn no_registry_but_the_public_one_is_named() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let sources = lock.lines().filter_map(|line| line.strip_prefix("source = "));
    let others: Vec<_> = sources.filter(|source| !source.contains("github.com/rust-lang/crates.io-index")).collect();
    assert!(others.is_empty(), "{others:?}");
    let mut texts = files("tests/setup");
    texts.extend(files("tests/sdk"));
    texts.extend(files("tests/schemas"));
    texts.extend(files(".ci"));
    texts.extend(
        ["Cargo.toml", ".cargo/config.toml", "Makefile", "README.md"]
            .map(|path| Source { path: path.to_owned(), text: fs::read_to_string(root().join(path)).unwrap() }),
    );
    for source in texts {
        for word in ["--index-url", "--registry", "[registr", "[source", "replace-with", "artifactory", "sparse+http"] {
            assert!(!source.text.contains(word), "{} names {word}", source.path);
        }
    }
}
