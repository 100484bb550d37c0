//! What is printed, and kept: `tests/bench/results.jsonl` gets a line for each run.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};

#[derive(Default)]
pub struct Report {
    figures: Map<String, Value>,
}

impl Report {
    /// Tells one figure.
    pub fn tell(&mut self, what: &str, unit: &str, figure: f64) {
        println!("{what:<60} {figure:>10.2} {unit}");
        self.figures.insert(format!("{what}, {unit}"), round(figure));
    }

    /// Tells what a work costs a subject, in microseconds: in all, and over what it costs Envoy alone.
    pub fn cost(&mut self, work: &str, subject: &str, all: &[f64], over: &[f64]) {
        let [_, middle, _] = quarters(all);
        let [low, half, high] = quarters(over);
        println!("{work:<32} {subject:<24} {middle:>10.2} us   {half:>+10.2} us  ({low:+.2} to {high:+.2})");
        self.figures.insert(format!("{work}: {subject}, us"), round(middle));
        self.figures
            .insert(format!("{work}: {subject}, us over Envoy alone"), json!([round(low), round(half), round(high)]));
    }

    /// Keeps the run, with where and of what it was.
    pub fn write(self, root: &Path) {
        let told = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).current_dir(root).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = processor.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let line = json!({
            "date": told("date", &["-u", "+%Y-%m-%dT%H:%MZ"]),
            "commit": told("git", &["describe", "--always", "--dirty"]),
            "machine": format!("{} x {}", told("nproc", &[]), processor.trim_start_matches(['\t', ' ', ':'])),
            "load": load.split(' ').next(),
            "figures": self.figures,
        });
        let path = root.join("tests/bench/results.jsonl");
        let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

/// The quarter, the half, and three quarters of the way through them.
fn quarters(figures: &[f64]) -> [f64; 3] {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| figures[(figures.len() - 1) * quarter / 4])
}

fn round(figure: f64) -> Value {
    json!((figure * 100.0).round() / 100.0)
}
