//! Metrics as Envoy tells them to Prometheus.

use std::collections::BTreeMap;

use super::Gateway;

/// A line of them.
#[derive(Debug)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    /// As it is written, without a loss.
    pub value: String,
}

impl Sample {
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    pub fn count(&self) -> u64 {
        self.value.parse().unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// All of them whose names begin with one of the module's prefixes.
pub fn scrape(gateway: &Gateway) -> Vec<Sample> {
    let url = format!("http://{}/stats/prometheus", gateway.admin);
    let mut answer = ureq::get(&url).call().unwrap();
    let text = answer.body_mut().with_config().limit(1 << 28).read_to_string().unwrap();
    let own = |line: &&str| line.starts_with("model_gateway_") || line.starts_with("gen_ai_");
    text.lines().filter(own).map(sample).collect()
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let mut rest = labels.strip_suffix('}').unwrap();
    let mut found = BTreeMap::new();
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut characters = after.char_indices();
        rest = loop {
            match characters.next().unwrap() {
                (at, '"') => break after[at + 1..].trim_start_matches(','),
                (_, '\\') => value.push(characters.next().unwrap().1),
                (_, character) => value.push(character),
            }
        };
        found.insert(name.to_owned(), value);
    }
    Sample { name: name.to_owned(), labels: found, value: value.to_owned() }
}

/// What those of that name add up to for which `wanted` holds.
pub fn sum(samples: &[Sample], name: &str, wanted: impl Fn(&Sample) -> bool) -> u64 {
    samples.iter().filter(|sample| sample.name == name && wanted(sample)).map(Sample::count).sum()
}
