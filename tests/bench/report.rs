//! How long `model-gateway report` takes over a million lines, plain and gzip, of one file and of four.
//!
//! `make bench`, or `cargo bench --profile command --bench report`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

const LINES: usize = 1_000_000;
const ROUNDS: usize = 3;

fn main() {
    let folder = std::env::temp_dir().join(format!("model-gateway-bench-report-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let plain = write(&folder, 1, false);
    let cases = [
        ("1 file", plain.clone()),
        ("4 files", write(&folder, 4, false)),
        ("1 file, gzip", write(&folder, 1, true)),
        ("4 files, gzip", write(&folder, 4, true)),
    ];
    let bytes: u64 = plain.iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    println!("{LINES} lines of {} bytes, the best of {ROUNDS} runs, in seconds", bytes / LINES as u64);
    for (name, files) in &cases {
        println!("{name:<16} {:>6.2}", best(files, &["--by", "team,model"]).as_secs_f64());
    }
    println!("{:<16} {:>6.2}", "with advice", best(&plain, &["--by", "team,model,day", "--advice"]).as_secs_f64());
    fs::remove_dir_all(&folder).unwrap();
}

fn best(files: &[PathBuf], arguments: &[&str]) -> Duration {
    let run = |_| {
        let since = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_model-gateway"));
        let output = command.arg("report").args(files).args(arguments).args(["--format", "json"]).output().unwrap();
        let took = since.elapsed();
        let text = String::from_utf8(output.stdout).unwrap();
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["total"]["requests"], LINES, "{}", String::from_utf8_lossy(&output.stderr));
        took
    };
    (0..ROUNDS).map(run).min().unwrap()
}

/// A million lines as Envoy writes them, in so many files.
fn write(folder: &Path, files: usize, gzip: bool) -> Vec<PathBuf> {
    let file = |number: usize| {
        let path = folder.join(format!("{files}-{number}{}", if gzip { ".gz" } else { "" }));
        let file = BufWriter::new(File::create(&path).unwrap());
        let mut out: Box<dyn Write> =
            if gzip { Box::new(GzEncoder::new(file, Compression::fast())) } else { Box::new(file) };
        for number in (number * LINES / files)..((number + 1) * LINES / files) {
            line(&mut out, number);
        }
        drop(out);
        path
    };
    (0..files).map(file).collect()
}

fn line(out: &mut dyn Write, number: usize) {
    const TARGETS: &[(&str, &str, u64, u64)] = &[
        ("openai", "gpt-4o", 2_500_000, 10_000_000),
        ("openai", "gpt-4o-mini", 150_000, 600_000),
        ("anthropic", "claude-sonnet-4-5", 3_000_000, 15_000_000),
        ("gemini", "gemini-2.5-flash", 300_000, 2_500_000),
    ];
    let (provider, model, input_price, output_price) = TARGETS[number % TARGETS.len()];
    let (input, output, team) = (number * 7919 % 5000 + 1, number * 104_729 % 900 + 1, number * 31 % 12);
    let cost = input as u64 * input_price + output as u64 * output_price;
    let (day, hour, minute, second) = (number / 40_000 + 1, number / 1600 % 24, number / 27 % 60, number % 60);
    writeln!(
        out,
        r#"{{"attempt_log":"{provider}:ok:{input}ms","attempts":"1","bytes_received":{input},"bytes_sent":{output},"cached_tokens":"{cached}","client":"10.0.0.{team}","cluster":"{provider}","cost_usd":"{cost}","details":"via_upstream","duration_ms":{output},"endpoint":"chat_completions","first_byte_ms":240,"first_token_ms":"230","flags":"-","input_tokens":"{input}","key":"key-{team}","labels":{{"app":"app-{team}"}},"method":"POST","model":"{model}","operation":"chat","outcome":"ok","output_tokens":"{output}","path":"/v1/chat/completions","provider":"{provider}","request_id":"00000000-0000-4000-8000-{number:012}","status":200,"stream":"true","target_model":"{model}","team":"team-{team}","time":"2026-11-{day:02}T{hour:02}:{minute:02}:{second:02}.596Z","upstream_attempts":1}}"#,
        cached = if number.is_multiple_of(3) { input / 2 } else { 0 },
        cost = model_gateway::price::pico_usd(cost),
    )
    .unwrap();
}
