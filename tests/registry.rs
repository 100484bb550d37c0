//! What belongs to a kind of provider besides its code: a line in the list is not enough.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use model_gateway::config::{BaseUrl, File};
use model_gateway::dialect::Operation;
use model_gateway::providers::{KINDS, Settings, Speech, Target, find};

/// Fails with everything that `wrong` finds with any kind.
fn check(wrong: impl Fn(&'static dyn model_gateway::providers::Kind) -> Option<String>) {
    let found: Vec<_> = KINDS.iter().filter_map(|kind| Some(format!("{}: {}", kind.name(), wrong(*kind)?))).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn names_are_plain_and_stand_for_one_kind() {
    let names: BTreeSet<_> = KINDS.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), KINDS.len());
    check(|kind| {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        (!kind.name().chars().all(is_plain) || find(kind.name()).is_none()).then(|| "no plain name".to_owned())
    });
}

#[test]
fn requests_have_somewhere_to_go() {
    let settings =
        Settings { api_version: Some("v1".to_owned()), project: Some("p".to_owned()), region: Some("r".to_owned()) };
    let target = Target { settings: &settings, ..Target::new("m") };
    check(|kind| {
        let url = kind.base_url()?.replace("{region}", "eu-west-1").replace("{project}", "p");
        url.parse::<BaseUrl>().err().map(|why| format!("{url}: {why}"))
    });
    check(|kind| {
        let path = kind.path(&target);
        (!path.starts_with('/')).then(|| format!("its path is {path}"))
    });
    check(|kind| {
        let (name, value) = kind.credential("secret");
        let headers = kind.headers(&target).into_iter().map(|(name, _)| name).chain([name]);
        let loud = headers.filter(|name| name.chars().any(|c| c.is_ascii_uppercase())).collect::<Vec<_>>();
        (!loud.is_empty() || !value.contains("secret"))
            .then(|| format!("its credential is lost, or not in lower case: {loud:?}"))
    });
}

#[test]
fn native_kinds_have_vectors() {
    check(|kind| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(kind.name());
        let is_missing = matches!(kind.speech(), Speech::Native(_)) && !folder.is_dir();
        is_missing.then(|| format!("no vectors at {}", folder.display()))
    });
}

#[test]
fn readme_has_a_row_for_every_kind() {
    let readme = read("README.md");
    let rows: BTreeSet<_> =
        readme.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(kind, _)| kind).collect();
    check(|kind| (!rows.contains(kind.name())).then(|| "README's table of providers has no row for it".to_owned()));
}

#[test]
fn readme_says_which_native_kinds_have_embeddings() {
    let readme = read("README.md");
    let table = readme.split("\n| embeddings |").nth(1).unwrap().split("\n\n").next().unwrap();
    check(|kind| {
        let row = table.lines().find(|line| line.starts_with(&format!("| for `{}` |", kind.name())));
        let expected = match kind.speech() {
            Speech::OpenAi => None,
            Speech::Native(_) => Some(kind.embedder().is_some()),
        };
        let said = row.map(|row| !row.contains("| has none |"));
        let offers = expected.map(|_| kind.offers(Operation::Embeddings, "m"));
        (said != expected || offers != expected)
            .then(|| format!("its embeddings: {expected:?}, and README says {said:?}"))
    });
}

#[test]
fn the_schema_names_every_kind_and_no_other() {
    let schema = schemars::schema_for!(File).to_value();
    let kinds =
        schema.pointer("/$defs/ProviderFile/properties/kind/enum").expect("the kinds are listed").as_array().unwrap();
    let kinds: Vec<_> = kinds.iter().map(|kind| kind.as_str().unwrap()).collect();
    assert_eq!(kinds, KINDS.iter().map(|kind| kind.name()).collect::<Vec<_>>());
}

#[test]
fn the_readme_has_every_metric_and_every_field_of_the_log() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for metric in model_gateway::metrics::METRICS {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{}`", label.name())).collect();
        let row = format!("| `{}` | {} | {} |", metric.name, labels.join(", "), metric.help);
        assert!(readme.contains(&row), "not in README: {row}");
    }
    for field in model_gateway::names::log::ALL {
        let field = field.strip_prefix("gateway.").unwrap();
        assert!(readme.contains(&format!("`{field}`")), "not in README: {field}");
    }
}
