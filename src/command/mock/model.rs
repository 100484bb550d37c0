//! The simulated model: what it is asked, in the few terms its answer depends on, and what it replies, in terms that
//! every dialect can write.

use serde_json::{Value, json};

use super::directives::Directives;
use super::instance::instance;
use super::json::At;

/// What a dialect takes from a request.
#[derive(Clone, Debug, Default)]
pub struct Prompt {
    /// As the answer shall name it, without directives.
    pub model: String,
    pub stream: bool,
    /// Whether a stream tells its usage.
    pub stream_usage: bool,
    /// Words of all text in the messages, which pass for tokens.
    pub words: u64,
    /// The text the user said last.
    pub question: String,
    /// What tools gave since then.
    pub results: Vec<String>,
    pub tools: Vec<Tool>,
    pub choice: Choice,
    /// Whether several tools may be called at once.
    pub parallel: bool,
    /// The schema that the answer must be an instance of.
    pub format: Option<Value>,
    /// How many words the answer may have.
    pub limit: Option<u64>,
    pub stops: Vec<String>,
    pub thinking: bool,
    /// How many answers are wanted.
    pub choices: usize,
}

/// A tool the model may call.
#[derive(Clone, Debug)]
pub struct Tool {
    pub name: String,
    pub schema: Value,
}

/// Whether the model has to call tools.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Choice {
    #[default]
    Auto,
    None,
    /// Any one.
    Required,
    /// This one.
    Named(String),
}

/// What the model says.
#[derive(Clone, Debug)]
pub struct Reply {
    /// What its identifiers are made from.
    pub seed: u64,
    /// Seconds since 1970.
    pub created: u64,
    pub thinking: Option<Thinking>,
    /// The text in the pieces it is streamed in; none if it calls tools.
    pub text: Vec<String>,
    pub calls: Vec<Call>,
    pub finish: Finish,
    /// `None` if the provider shall not tell.
    pub usage: Option<Usage>,
}

/// What the model thought before.
#[derive(Clone, Debug)]
pub enum Thinking {
    Open(Vec<String>),
    Redacted,
}

/// A call of a tool.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: String,
    /// JSON, in the fragments it is streamed in.
    pub arguments: Vec<String>,
}

/// Why the model stopped.
#[derive(Clone, Debug, PartialEq)]
pub enum Finish {
    Stop,
    /// At this text, which the request named.
    Sequence(String),
    Length,
    Tools,
    /// In the provider's own word.
    Native(String),
}

/// Tokens of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// All of the prompt, the cached ones among them.
    pub input: u64,
    pub cached: u64,
    pub cache_write: u64,
    /// All that was generated, the reasoning among it.
    pub output: u64,
    pub reasoning: u64,
}

/// The model's reply, a function of its arguments.
pub fn reply(prompt: &Prompt, directives: &Directives, seed: u64, created: u64) -> Reply {
    let calls = calls(prompt, directives);
    let thinking = thinking(prompt, directives);
    let (text, mut finish) = if calls.is_empty() { text(prompt, directives) } else { (String::new(), Finish::Tools) };
    if let Some(native) = &directives.finish {
        finish = Finish::Native(native.clone());
    }

    let reasoning = match &thinking {
        Some(Thinking::Open(pieces)) => words(&pieces.concat()),
        Some(Thinking::Redacted) => REDACTED_WORDS,
        None => 0,
    };
    let called: u64 = calls.iter().map(|call| words(&call.name) + words(&call.arguments.concat())).sum();
    let said = (words(&text) + called) * prompt.choices.max(1) as u64;
    let usage = Usage {
        input: prompt.words + directives.cached + directives.cache_write,
        cached: directives.cached,
        cache_write: directives.cache_write,
        output: said + reasoning,
        reasoning,
    };
    Reply {
        seed,
        created,
        thinking,
        text: directives.chunks.map_or_else(|| by_word(&text), |count| pieces(&text, count)),
        calls,
        finish,
        usage: (!directives.no_usage).then_some(usage),
    }
}

/// What passes for tokens.
pub fn words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

fn calls(prompt: &Prompt, directives: &Directives) -> Vec<Call> {
    let asked = prompt.question.to_lowercase();
    let named = |tool: &&Tool| asked.contains(&tool.name.to_lowercase());
    let about_weather = |tool: &&Tool| asked.contains("weather") && tool.name.contains("weather");
    let mentioned = prompt.tools.iter().find(named).or(prompt.tools.iter().find(about_weather));
    let first = match &prompt.choice {
        Choice::None => None,
        Choice::Named(name) => prompt.tools.iter().find(|tool| tool.name == *name),
        Choice::Required => mentioned.or(prompt.tools.first()),
        // Who has the results answers: a client that runs tools in a loop must come to an end.
        Choice::Auto if !prompt.results.is_empty() => None,
        Choice::Auto if directives.tools.is_some() || asked.contains("weather") => mentioned.or(prompt.tools.first()),
        Choice::Auto => mentioned,
    };
    let Some(first) = first else {
        return Vec::new();
    };
    let count = directives.tools.unwrap_or(1).min(if prompt.parallel { usize::MAX } else { 1 });
    let from = prompt.tools.iter().position(|tool| tool.name == first.name).unwrap_or_default();
    let rotation = prompt.tools.iter().cycle().skip(from).take(count);
    let arguments = |tool: &Tool| directives.arguments.clone().unwrap_or_else(|| instance(&tool.schema).to_string());
    rotation.map(|tool| Call { name: tool.name.clone(), arguments: pieces(&arguments(tool), FRAGMENTS) }).collect()
}

fn thinking(prompt: &Prompt, directives: &Directives) -> Option<Thinking> {
    if prompt.thinking && directives.redacted {
        return Some(Thinking::Redacted);
    }
    let told = directives.reasoning.clone();
    let thought = told.or_else(|| prompt.thinking.then(|| "The user wants an answer; an echo will do.".to_owned()))?;
    Some(Thinking::Open(pieces(&thought, FRAGMENTS)))
}

fn text(prompt: &Prompt, directives: &Directives) -> (String, Finish) {
    let echo = if prompt.results.is_empty() {
        format!("Mock answer to: {}", prompt.question)
    } else {
        format!("Mock answer from tools: {}", prompt.results.join("; "))
    };
    let mut text = match (&directives.text, &prompt.format) {
        (Some(text), _) => text.clone(),
        (None, Some(schema)) if schema.at("type").is_null() && schema.get("$ref").is_none() => {
            json!({ "answer": echo }).to_string()
        }
        (None, Some(schema)) => instance(schema).to_string(),
        (None, None) => echo,
    };
    if let Some(count) = directives.words {
        text = text.split_whitespace().cycle().take(count).collect::<Vec<_>>().join(" ");
    }
    let mut finish = Finish::Stop;
    let stops = prompt.stops.iter().filter_map(|stop| text.find(stop.as_str()).map(|at| (at, stop)));
    if let Some((at, stop)) = stops.min_by_key(|(at, _)| *at) {
        finish = Finish::Sequence(stop.clone());
        text.truncate(at);
    }
    if prompt.limit.is_some_and(|limit| words(&text) > limit) {
        finish = Finish::Length;
        text = by_word(&text).into_iter().take(prompt.limit.unwrap_or_default() as usize).collect();
    }
    (text, finish)
}

/// Each word with the white space before it; together they are the text.
fn by_word(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut after_word = false;
    for letter in text.chars() {
        if letter.is_whitespace() && after_word {
            pieces.push(String::new());
        }
        after_word = !letter.is_whitespace();
        if let Some(last) = pieces.last_mut() {
            last.push(letter);
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// The text in `count` pieces of about the same length, never within a character; fewer if it is too short.
fn pieces(text: &str, count: usize) -> Vec<String> {
    let length = text.chars().count();
    let count = count.min(length);
    let mut letters = text.chars();
    // The pieces differ by one character at most.
    (1..=count).map(|n| letters.by_ref().take(length * n / count - length * (n - 1) / count).collect()).collect()
}

/// Arguments and thoughts are streamed in this many pieces.
const FRAGMENTS: usize = 4;
const REDACTED_WORDS: u64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(prompt: &Prompt, directives: &str) -> (String, Finish, u64) {
        let mut read = Directives::default();
        read.merge(directives).unwrap();
        let reply = reply(prompt, &read, 1, 2);
        (reply.text.concat(), reply.finish, reply.usage.unwrap().output)
    }

    fn asked(question: &str) -> Prompt {
        Prompt { question: question.to_owned(), words: words(question), parallel: true, ..Prompt::default() }
    }

    fn weather() -> Vec<Tool> {
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
        let tool = |name: &str| Tool { name: name.to_owned(), schema: schema.clone() };
        vec![tool("get_time"), tool("get_weather")]
    }

    #[test]
    fn it_echoes_or_says_what_it_is_told() {
        assert_eq!(said(&asked("hi"), ""), ("Mock answer to: hi".into(), Finish::Stop, 4));
        assert_eq!(said(&asked("hi"), "text=a b&words=3"), ("a b a".into(), Finish::Stop, 3));
        assert_eq!(said(&asked("hi"), "text=grün&chunks=99").0, "grün");
        assert_eq!(said(&asked("hi"), "finish=odd").1, Finish::Native("odd".into()));
    }

    #[test]
    fn it_stops_where_it_is_told() {
        let short = Prompt { limit: Some(2), ..asked("hi") };
        assert_eq!(said(&short, ""), ("Mock answer".into(), Finish::Length, 2));
        let stopped = Prompt { stops: vec![" to".into()], ..asked("hi") };
        assert_eq!(said(&stopped, ""), ("Mock answer".into(), Finish::Sequence(" to".into()), 2));
    }

    #[test]
    fn structured_answers_are_instances_of_their_schema() {
        let any = Prompt { format: Some(json!({})), ..asked("hi") };
        assert_eq!(said(&any, "").0, r#"{"answer":"Mock answer to: hi"}"#);
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
        let formed = Prompt { format: Some(schema), ..asked("hi") };
        assert_eq!(said(&formed, "").0, r#"{"n":1}"#);
    }

    #[track_caller]
    fn called(prompt: &Prompt, directives: &str, expected: &[&str]) {
        let mut read = Directives::default();
        read.merge(directives).unwrap();
        let calls = reply(prompt, &read, 1, 2).calls;
        assert_eq!(calls.iter().map(|call| call.name.as_str()).collect::<Vec<_>>(), expected);
        assert!(calls.iter().all(|call| call.arguments.concat() == r#"{"city":"text"}"# && call.arguments.len() > 1));
    }

    #[test]
    fn it_calls_tools_when_asked_or_forced() {
        let offered = |question| Prompt { tools: weather(), ..asked(question) };
        called(&offered("hi"), "", &[]);
        called(&offered("how is the weather?"), "", &["get_weather"]);
        called(&offered("use get_time"), "", &["get_time"]);
        called(&offered("hi"), "tools=3", &["get_time", "get_weather", "get_time"]);
        called(&offered("the weather?"), "tools=0", &[]);
        called(&Prompt { choice: Choice::Required, ..offered("hi") }, "", &["get_time"]);
        called(&Prompt { choice: Choice::Named("get_weather".into()), ..offered("hi") }, "", &["get_weather"]);
        called(&Prompt { choice: Choice::None, ..offered("the weather?") }, "", &[]);
        called(&Prompt { parallel: false, ..offered("hi") }, "tools=2", &["get_time"]);
        called(&asked("the weather?"), "", &[]);
    }

    #[test]
    fn with_results_it_answers() {
        let prompt = Prompt { tools: weather(), results: vec!["rain".into(), "noon".into()], ..asked("the weather?") };
        assert_eq!(said(&prompt, "tools=2").0, "Mock answer from tools: rain; noon");
    }

    #[test]
    fn usage_adds_up() {
        let mut directives = Directives::default();
        directives.merge("cached=100&cache-write=10&reasoning=so it is").unwrap();
        let usage = reply(&asked("one two three"), &directives, 1, 2).usage.unwrap();
        assert_eq!(usage, Usage { input: 113, cached: 100, cache_write: 10, output: 9, reasoning: 3 });
        directives.merge("no-usage").unwrap();
        assert_eq!(reply(&asked("x"), &directives, 1, 2).usage, None);
    }

    #[test]
    fn pieces_are_the_text() {
        for count in 1..20 {
            let cut = pieces("zwölf Boxkämpfer", count);
            assert_eq!((cut.concat().as_str(), cut.len()), ("zwölf Boxkämpfer", count.min(16)));
        }
        assert_eq!(by_word(" a  b c"), [" a", "  b", " c"]);
        assert!(by_word("").is_empty() && pieces("", 4).is_empty());
    }
}
