//! What is printed, and kept: `tests/bench/results.jsonl` gets a line for each whole run.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

/// Figures by their names, the unit at the end; of what has several rounds a quarter, the half, and three quarters of them.
pub struct Report {
    root: PathBuf,
    /// How busy the machine was before.
    load: String,
    figures: Map<String, Value>,
}

impl Report {
    /// Of a run that begins now.
    pub fn new(root: &Path) -> Self {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default().to_owned();
        println!("load of the machine before: {load}");
        Self { root: root.to_owned(), load, figures: Map::new() }
    }

    /// Tells one figure.
    pub fn tell(&mut self, name: &str, figure: f64) {
        println!("{name:<72} {figure:>10.2}");
        self.figures.insert(name.to_owned(), round(figure));
    }

    /// Tells one figure, and how much it is over the same one of Envoy alone.
    pub fn tell_over(&mut self, name: &str, figure: f64, alone: f64) {
        println!("{name:<72} {figure:>10.2} {:>+10.2}", figure - alone);
        self.figures.insert(name.to_owned(), round(figure));
        self.over(name, figure - alone != 0.0, round(figure - alone));
    }

    /// Tells what a work costs a subject, round by round: in all, and over what it costs Envoy alone.
    pub fn cost(&mut self, work: &str, subject: &str, all: &[f64], alone: &[f64]) {
        let [_, middle, _] = quarters(all);
        let over = quarters(&differences(all, alone));
        let least = least(all) - least(alone);
        println!("{work:<30} {subject:<26} {middle:>10.2} us   {}   least {least:>+8.2}", spread(over));
        self.figures.insert(format!("{work}: {subject}, us"), round(middle));
        self.over(&format!("{work}: {subject}, us"), over != [0.0; 3], over.map(round).into());
    }

    /// Keeps it, unless it is Envoy alone's own.
    fn over(&mut self, name: &str, is_any: bool, figure: Value) {
        if is_any {
            self.figures.insert(format!("{name} over Envoy alone"), figure);
        }
    }

    /// Tells what a work costs more, round by round, with all that observes it.
    pub fn observability(&mut self, work: &str, observed: &[f64], unobserved: &[f64]) {
        let over = quarters(&differences(observed, unobserved));
        let least = least(observed) - least(unobserved);
        println!("{work:<30} {:<26} {:>13}   {}   least {least:>+8.2}", "all of observability", "", spread(over));
        self.figures.insert(format!("{work}: all of observability, us"), over.map(round).into());
    }

    /// A figure, or the median of several.
    pub fn figure(&self, name: &str) -> Option<f64> {
        let figure = self.figures.get(name)?;
        figure.as_f64().or_else(|| figure.get(1)?.as_f64())
    }

    /// Keeps the run, with where and of what it was.
    pub fn keep(self) {
        let told = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).current_dir(&self.root).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = processor.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
        let line = json!({
            "date": told("date", &["-u", "+%Y-%m-%dT%H:%MZ"]),
            "commit": told("git", &["describe", "--always", "--dirty"]),
            "machine": format!("{} x {}", told("nproc", &["--all"]), processor.trim_start_matches(['\t', ' ', ':'])),
            "load": self.load,
            "figures": self.figures,
        });
        let path = self.root.join("tests/bench/results.jsonl");
        let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

fn differences(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter().zip(theirs).map(|(ours, theirs)| ours - theirs).collect()
}

fn least(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(f64::INFINITY, f64::min)
}

/// The quarter, the half, and three quarters of the way through them.
fn quarters(figures: &[f64]) -> [f64; 3] {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| figures[(figures.len() - 1) * quarter / 4])
}

fn spread([low, half, high]: [f64; 3]) -> String {
    format!("{half:>+10.2} us  {:<20}", format!("({low:+.2} to {high:+.2})"))
}

fn round(figure: f64) -> Value {
    json!((figure * 100.0).round() / 100.0)
}
