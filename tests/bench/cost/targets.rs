//! What the figures ought to be, by issue: the median of the gateway with keys, limits and prices on.

use crate::report::Report;

/// By the name of a figure, the most that it may be.
const TARGETS: &[(&str, f64)] = &[
    ("OpenAI, 2 KB: gateway, us over Envoy alone", 40.0),
    ("OpenAI, 200 KB: gateway, us over Envoy alone", 90.0),
    ("Anthropic, 2 KB: gateway, us over Envoy alone", 60.0),
    ("Anthropic, 200 KB: gateway, us over Envoy alone", 250.0),
    ("OpenAI, a dense chunk: gateway, us over Envoy alone", 5.0),
    ("Anthropic, a dense chunk: gateway, us over Envoy alone", 8.0),
    ("OpenAI, a chunk in a burst: gateway, us over Envoy alone", 2.0),
    ("Anthropic, a chunk in a burst: gateway, us over Envoy alone", 2.0),
    ("OpenAI, 2 KB: all of observability, us", 10.0),
    ("OpenAI, a dense chunk: all of observability, us", 0.5),
    ("OpenAI, 2 KB: first event, gateway: median, ms over Envoy alone", 0.2),
    ("gateway: memory, fresh, MB over Envoy alone", 30.0),
    ("gateway: an open stream, OpenAI, KB over Envoy alone", 20.0),
    ("gateway: an open stream, Anthropic, KB over Envoy alone", 20.0),
    ("gateway: memory after a million over that after 50,000, %", 5.0),
];

impl Report {
    /// Prints which of them were met.
    pub fn targets(&self) {
        let reached = |name: &str| self.figure(&format!("{name}: all of observability, us"));
        if let (Some(request), Some(chunk)) = (reached("OpenAI, 2 KB"), reached("OpenAI, a dense chunk")) {
            println!(
                "\nall of observability costs {request:.2} us a request and {chunk:.2} us a chunk; target 10 us and 0.5 us"
            );
        }
        println!("\n{:<68} {:>7} {:>9}", "", "target", "reached");
        for (name, most) in TARGETS {
            match self.figure(name) {
                Some(figure) => {
                    let word = if figure <= *most { "met" } else { "MISSED" };
                    println!("{name:<68} {most:>7} {figure:>9.2}  {word}");
                }
                None => println!("{name:<68} {most:>7} {:>9}  not measured", ""),
            }
        }
    }
}
