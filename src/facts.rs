//! What is known of models: how much they read and write, what they can be given.
//!
//! From the same table as the prices. `None` is "not known" and rules nothing out: most of what a model can do is said of
//! it, and little of what it cannot.

use crate::price::{names, table};

/// What is known of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// What it is for.
    pub mode: Option<Mode>,
    /// The most tokens of a prompt.
    pub context: Option<u64>,
    /// The most tokens of an answer.
    pub output: Option<u64>,
    /// Whether it takes images.
    pub vision: Option<bool>,
    /// Whether it calls tools.
    pub tools: Option<bool>,
    /// Whether it can be held to a JSON Schema.
    pub json_schema: Option<bool>,
    /// Whether it takes sound.
    pub audio: Option<bool>,
    /// Whether it takes PDFs.
    pub pdf: Option<bool>,
    /// Whether it thinks first.
    pub reasoning: Option<bool>,
}

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// To go on with a conversation.
    Chat,
    /// To go on with a text.
    Completion,
    /// Vectors for texts.
    Embedding,
    /// Conversations too, but only by OpenAI's Responses.
    Responses,
}

/// The facts of a provider's model, found as a price is: see [`crate::price::lookup`]. All unknown if the table lacks it.
pub fn lookup(kind: &str, model: &str) -> Facts {
    let row = names::first(kind, None, model, &mut table::find);
    row.and_then(table::Row::facts).and_then(Facts::parse).unwrap_or_default()
}

/// What a request asks of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// There is an image in it.
    pub vision: bool,
    /// It offers tools.
    pub tools: bool,
    /// The answer is to follow a JSON Schema.
    pub json_schema: bool,
    /// There is sound in it.
    pub audio: bool,
    /// There is a PDF in it.
    pub pdf: bool,
}

impl Facts {
    /// The first thing that is known to be out of the model's reach, for a prompt of so many tokens; by the name that it has
    /// in messages and logs.
    pub fn lacks(&self, needs: Needs, input: u64) -> Option<&'static str> {
        let cannot = |fact: Option<bool>, needed: bool| needed && fact == Some(false);
        [
            ("vision", cannot(self.vision, needs.vision)),
            ("tools", cannot(self.tools, needs.tools)),
            ("json_schema", cannot(self.json_schema, needs.json_schema)),
            ("audio", cannot(self.audio, needs.audio)),
            ("pdf", cannot(self.pdf, needs.pdf)),
            ("context", self.context.is_some_and(|context| input > context)),
        ]
        .into_iter()
        .find_map(|(name, lacks)| lacks.then_some(name))
    }

    /// Reads the short form: the mode's first letter, the most tokens of prompt and answer (`-`: not known), and a letter for
    /// each that is known, of `vtjapr` in the order of the fields, `-` before what it cannot: `c 128000 16384 vt-a`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mode = match words.next()? {
            "c" => Some(Mode::Chat),
            "t" => Some(Mode::Completion),
            "e" => Some(Mode::Embedding),
            "r" => Some(Mode::Responses),
            "-" => None,
            _ => return None,
        };
        let mut number = || match words.next()? {
            "-" => Some(None),
            number => Some(Some(number.parse().ok()?)),
        };
        let mut facts = Self { mode, context: number()?, output: number()?, ..Self::default() };
        let mut truth = true;
        for letter in words.next().unwrap_or_default().bytes() {
            let fact = match letter {
                b'-' => {
                    truth = false;
                    continue;
                }
                b'v' => &mut facts.vision,
                b't' => &mut facts.tools,
                b'j' => &mut facts.json_schema,
                b'a' => &mut facts.audio,
                b'p' => &mut facts.pdf,
                b'r' => &mut facts.reasoning,
                _ => return None,
            };
            *fact = Some(truth);
            truth = true;
        }
        words.next().is_none().then_some(facts)
    }

    /// The short form.
    pub fn write(&self, out: &mut String) {
        out.push_str(match self.mode {
            Some(Mode::Chat) => "c",
            Some(Mode::Completion) => "t",
            Some(Mode::Embedding) => "e",
            Some(Mode::Responses) => "r",
            None => "-",
        });
        for number in [self.context, self.output] {
            match number {
                Some(number) => out.push_str(&format!(" {number}")),
                None => out.push_str(" -"),
            }
        }
        let mut letters = String::new();
        for (letter, fact) in [
            ('v', self.vision),
            ('t', self.tools),
            ('j', self.json_schema),
            ('a', self.audio),
            ('p', self.pdf),
            ('r', self.reasoning),
        ] {
            letters.extend((fact == Some(false)).then_some('-'));
            letters.extend(fact.map(|_| letter));
        }
        if !letters.is_empty() {
            out.push(' ');
            out.push_str(&letters);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Facts, Mode, Needs, lookup};

    #[test]
    fn the_short_form_reads_and_writes_alike() {
        for text in ["c 128000 16384 vtjapr", "c - - v-t-jr", "e 8192 -", "t - 4096", "r 1 2 p", "- - -"] {
            let mut written = String::new();
            Facts::parse(text).unwrap_or_else(|| panic!("{text}")).write(&mut written);
            assert_eq!(written, text);
        }
        for text in ["", "c", "c 1", "x 1 2", "c a 2", "c 1 2 z", "c 1 2 v v"] {
            assert!(Facts::parse(text).is_none(), "{text}");
        }
        let some = Facts::parse("c 9 - t-v").unwrap();
        let expected = Facts {
            mode: Some(Mode::Chat),
            context: Some(9),
            tools: Some(true),
            vision: Some(false),
            ..Facts::default()
        };
        assert_eq!(some, expected);
    }

    #[test]
    fn only_what_is_known_to_be_missing_rules_a_model_out() {
        let all = Needs { vision: true, tools: true, json_schema: true, audio: true, pdf: true };
        for (facts, needs, input, expected) in [
            ("- - -", all, u64::MAX, None),
            ("c 100 - vtjap", all, 100, None),
            ("c 100 - vtjap", Needs::default(), 101, Some("context")),
            ("c - - -v", all, 1, Some("vision")),
            ("c - - -v-t", Needs { tools: true, ..Needs::default() }, 1, Some("tools")),
            ("c - - -v-t-j-a-p", Needs::default(), 1, None),
            ("c - - -j", all, 1, Some("json_schema")),
            ("c - - -a", all, 1, Some("audio")),
            ("c - - -p", all, 1, Some("pdf")),
        ] {
            assert_eq!(Facts::parse(facts).unwrap().lacks(needs, input), expected, "{facts}");
        }
    }

    #[test]
    fn models_are_known_by_the_names_of_their_providers() {
        let facts = lookup("openai", "gpt-4o-2024-08-06");
        assert_eq!((facts.context, facts.output, facts.vision), (Some(128_000), Some(16_384), Some(true)));
        assert_eq!(facts.audio, None);
        let facts = lookup("bedrock", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0");
        assert_eq!((facts.context, facts.tools), (Some(200_000), Some(true)));
        assert_eq!(lookup("openai", "text-embedding-3-small").mode, Some(Mode::Embedding));
        assert_eq!(lookup("vllm", "gpt-4o"), Facts::default());
        assert_eq!(lookup("nobody", "gpt-4o"), Facts::default());
    }
}
