//! The neutral vocabulary of a conversation: the only place where client dialects and providers meet.
//!
//! Texts are borrowed from the document they were read from, in escaped form, so that a translation copies each of them
//! once. Numbers stay as they were written. Nothing here knows how any dialect spells anything.

use crate::json::{Str, Value};

/// What a client asks for.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// The conversation so far, oldest first.
    pub messages: Vec<Message<'a>>,
    /// Functions that the model may call.
    pub tools: Vec<Tool<'a>>,
    /// Tools that the provider runs itself, for the provider that knows them.
    pub server_tools: Vec<ServerTool<'a>>,
    /// Whether the model may search the web, and how; `None`: it may not.
    pub web_search: Option<WebSearch<'a>>,
    /// Whether it has to; `None`: the provider's default.
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Whether it may call several in one turn; `None`: the provider's default.
    pub parallel_tool_calls: Option<bool>,
    /// What form the answer has to have; `None`: free text.
    pub format: Option<Format<'a>>,
    /// How much to think before the answer; `None`: the provider's default.
    pub reasoning: Option<Reasoning<'a>>,
    /// Most tokens to generate, thinking included.
    pub max_tokens: Option<u64>,
    /// Sampling temperature, 0 to 2 in OpenAI's scale.
    pub temperature: Option<Value<'a>>,
    /// Nucleus sampling.
    pub top_p: Option<Value<'a>>,
    /// Texts at which generation stops.
    pub stop: Vec<Str<'a>>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// An identifier of the end user.
    pub user: Option<Str<'a>>,
    /// How the request is to be scheduled and charged.
    pub service_tier: Option<Str<'a>>,
    /// Parameters without a field of their own, by their neutral name, which is OpenAI's: `n`, `seed`, `top_k`, `logit_bias`
    /// and so on, and by its path whatever else the client's dialect could not say in this vocabulary, such as
    /// `messages[].name`. A translator takes those that its provider knows and names the rest as dropped.
    pub others: Vec<(Str<'a>, Value<'a>)>,
}

/// One turn, or a part of one.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part<'a>>,
    /// Whose thoughts are among the parts, if the client said so: [`crate::providers::Translator::thoughts`]. Others can
    /// make nothing of their signatures.
    pub thoughts_by: Option<Str<'a>>,
}

/// Who speaks in a [`Message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The operator of the conversation; may stand anywhere.
    System,
    /// The end user. Results of tools that the client ran are said by the user too, as [`Part::ToolResult`].
    User,
    /// The model.
    Assistant,
}

/// A piece of a message.
#[derive(Debug, Clone)]
pub enum Part<'a> {
    /// Text.
    Text(Text<'a>),
    /// An image.
    Image {
        /// What is in it.
        media: Media<'a>,
        /// How closely it is to be looked at: low or high; `None`: the provider's default.
        detail: Option<Str<'a>>,
    },
    /// A document, with its file name if one was given.
    Document {
        /// What is in it.
        media: Media<'a>,
        /// The client's name for it.
        name: Option<Str<'a>>,
        /// Whether the answer is to say what of it is from here: [`Part::Citation`].
        cited: bool,
    },
    /// Sound.
    Audio(Media<'a>),
    /// Moving pictures.
    Video(Media<'a>),
    /// A file that was uploaded to the provider beforehand, which knows it by this id.
    File(Str<'a>),
    /// What the model thought, with the provider's signature of it.
    Thinking {
        /// The thought, or the provider's summary of it; may be empty where there is a signature.
        text: Str<'a>,
        /// Opaque proof by which the provider recognises the thought.
        signature: Option<Str<'a>>,
    },
    /// A thought that the provider gave out in encrypted form only.
    RedactedThinking(Str<'a>),
    /// The model calls a tool.
    ToolCall(ToolCall<'a>),
    /// What a tool gave back.
    ToolResult {
        /// [`ToolCall::id`] of the call that it answers.
        id: Str<'a>,
        /// Texts and images.
        parts: Vec<Part<'a>>,
        /// Whether the tool failed, and this is why.
        is_error: bool,
    },
    /// The model says that it will not answer.
    Refusal(Str<'a>),
    /// Where something in the answer's text is from.
    Citation(Citation<'a>),
}

impl<'a> Part<'a> {
    /// An image that is to be looked at as usual.
    pub fn image(media: Media<'a>) -> Self {
        Self::Image { media, detail: None }
    }
}

/// Where a piece of an answer's text is from.
#[derive(Debug, Clone, PartialEq)]
pub struct Citation<'a> {
    /// What it is from.
    pub source: Source<'a>,
    /// The source's title.
    pub title: Option<Str<'a>>,
    /// What the source says.
    pub quote: Option<Str<'a>>,
    /// The piece, from its first character up to the first after it, in Unicode characters of all the text of the choice;
    /// `None` if the provider does not say, or the source stands for the whole answer.
    pub range: Option<(u64, u64)>,
}

/// What a [`Citation`] is from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source<'a> {
    /// A page at this address.
    Url(Str<'a>),
    /// Something that was in the request, or is kept by the provider.
    Document {
        /// By what the client or the provider knows it.
        id: Option<Str<'a>>,
        /// Its number among the documents of the request, from 0.
        index: Option<u64>,
        /// Where in it.
        place: Option<Place>,
    },
}

/// Where in a document something stands, from the first up to the first after it, as the provider counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// What is counted.
    pub unit: Unit,
    /// The first.
    pub start: u64,
    /// The first after it.
    pub end: u64,
}

/// What places in a document are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Characters.
    Character,
    /// Pages.
    Page,
    /// Blocks of the document's content.
    Block,
}

impl Citation<'_> {
    /// The same with a life of its own.
    pub fn into_owned(self) -> Citation<'static> {
        let source = match self.source {
            Source::Url(url) => Source::Url(url.into_owned()),
            Source::Document { id, index, place } => Source::Document { id: id.map(Str::into_owned), index, place },
        };
        let (title, quote) = (self.title.map(Str::into_owned), self.quote.map(Str::into_owned));
        Citation { source, title, quote, range: self.range }
    }
}

/// How probable a token was.
#[derive(Debug, Clone, PartialEq)]
pub struct Logprob<'a> {
    /// The token's text.
    pub token: Str<'a>,
    /// The natural logarithm of its probability, a number as the provider wrote it.
    pub logprob: &'a str,
    /// The token's bytes as JSON, where the provider gives them: a token can be half a character.
    pub bytes: Option<&'a str>,
    /// The most probable tokens in its place; these have no others in theirs.
    pub top: Vec<Logprob<'a>>,
}

/// A text part.
#[derive(Debug, Clone)]
pub struct Text<'a> {
    /// The text.
    pub text: Str<'a>,
    /// `cache_control` as the client gave it: the prompt up to here is worth caching.
    pub cache: Option<Value<'a>>,
}

impl<'a> From<Str<'a>> for Text<'a> {
    fn from(text: Str<'a>) -> Self {
        Self { text, cache: None }
    }
}

/// An image, document or sound, or where to find it.
#[derive(Debug, Clone, PartialEq)]
pub enum Media<'a> {
    /// At this address. The gateway itself never fetches it.
    Url(Str<'a>),
    /// In the request.
    Base64 {
        /// Media type such as `image/png`, lower case.
        media_type: Str<'a>,
        /// Base64 of the content.
        data: Str<'a>,
    },
}

/// A call of a tool by the model.
#[derive(Debug, Clone)]
pub struct ToolCall<'a> {
    /// By which its result is found.
    pub id: Str<'a>,
    /// [`Tool::name`].
    pub name: Str<'a>,
    /// What it is called with.
    pub arguments: Arguments<'a>,
    /// Opaque proof of the thought that led to it, to be shown to the provider again.
    pub signature: Option<Str<'a>>,
}

/// The arguments of a tool call: a JSON object, in whichever form it came.
#[derive(Debug, Clone)]
pub enum Arguments<'a> {
    /// The object itself.
    Object(Value<'a>),
    /// A text that should be the object's JSON (a model wrote it: it may not be).
    Text(Str<'a>),
}

/// A function that the model may call.
#[derive(Debug, Clone)]
pub struct Tool<'a> {
    /// Its name.
    pub name: Str<'a>,
    /// What it does.
    pub description: Option<Str<'a>>,
    /// JSON Schema of its arguments; `None`: it takes none.
    pub parameters: Option<Value<'a>>,
    /// Whether the arguments must follow the schema to the letter.
    pub strict: Option<bool>,
    /// `cache_control` as the client gave it.
    pub cache: Option<Value<'a>>,
}

/// A tool that the provider runs itself, or whose interface only the provider knows.
#[derive(Debug, Clone)]
pub struct ServerTool<'a> {
    /// By what it is known: its type, or the name of its only member.
    pub kind: Str<'a>,
    /// As the client gave it.
    pub value: Value<'a>,
}

/// How the web is to be searched.
#[derive(Debug, Clone, Default)]
pub struct WebSearch<'a> {
    /// How much is to be read of what was found: low, medium or high.
    pub context_size: Option<Str<'a>>,
    /// Where the user is, roughly: an object with `city`, `country`, `region` and `timezone`, each if it is known.
    pub location: Option<Value<'a>>,
}

/// Whether the model has to call a tool.
#[derive(Debug, Clone, PartialEq)]
pub enum ToolChoice<'a> {
    /// It decides.
    Auto,
    /// It must not.
    None,
    /// It must call one.
    Required,
    /// It must call this one.
    Tool(Str<'a>),
}

/// The form that an answer has to have.
#[derive(Debug, Clone)]
pub enum Format<'a> {
    /// Some JSON object.
    JsonObject,
    /// JSON of this schema.
    JsonSchema {
        /// A name for the schema.
        name: Str<'a>,
        /// What the answer is to be.
        description: Option<Str<'a>>,
        /// The schema.
        schema: Value<'a>,
        /// Whether it is to be followed to the letter.
        strict: bool,
    },
}

/// How much to think.
#[derive(Debug, Clone)]
pub enum Reasoning<'a> {
    /// One of OpenAI's words: none, minimal, low, medium, high, xhigh, max.
    Effort(Str<'a>),
    /// At most so many tokens.
    Budget(u64),
}

/// A complete answer.
#[derive(Debug, Clone, Default)]
pub struct Answer<'a> {
    /// The provider's id of it.
    pub id: Str<'a>,
    /// Alternative answers, one unless more were asked for.
    pub choices: Vec<Choice<'a>>,
    /// What it took; `None` if the provider did not say.
    pub usage: Option<Usage>,
    /// How it was scheduled and charged.
    pub service_tier: Option<Str<'a>>,
}

/// One of the alternative answers.
#[derive(Debug, Clone)]
pub struct Choice<'a> {
    /// What was said: texts, thoughts, tool calls, refusals, images, sound, citations.
    pub parts: Vec<Part<'a>>,
    /// How probable the tokens of the text were; empty if nobody asked.
    pub logprobs: Vec<Logprob<'a>>,
    /// Why it ended.
    pub finish: Finish<'a>,
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Finish<'a> {
    /// In neutral terms.
    pub reason: FinishReason,
    /// The provider's own word.
    pub native: Str<'a>,
}

/// OpenAI's closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model was done, or met a stop text.
    Stop,
    /// It ran out of tokens.
    Length,
    /// It waits for the results of tools.
    ToolCalls,
    /// It, or a filter, refused.
    ContentFilter,
}

/// Tokens used. The parts are inside the wholes: `cached` and the cache writes in `input`, `reasoning` in `output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// All tokens of the prompt.
    pub input: u64,
    /// Of these, read from the provider's prompt cache.
    pub cached: u64,
    /// Of these, written to the cache for the usual time (Anthropic: 5 minutes).
    pub cache_write: u64,
    /// Of these, written to the cache for an hour.
    pub cache_write_1h: u64,
    /// Of these, sound.
    pub input_audio: u64,
    /// All tokens generated.
    pub output: u64,
    /// Of these, thinking.
    pub reasoning: u64,
    /// Of these, sound.
    pub output_audio: u64,
    /// How the request was served, as far as the provider says.
    pub tier: ServiceTier,
}

impl Usage {
    /// Takes `more` into it; of tiers the last that says something.
    pub fn add(&mut self, more: &Self) {
        let both = [
            (&mut self.input, more.input),
            (&mut self.cached, more.cached),
            (&mut self.cache_write, more.cache_write),
            (&mut self.cache_write_1h, more.cache_write_1h),
            (&mut self.input_audio, more.input_audio),
            (&mut self.output, more.output),
            (&mut self.reasoning, more.reasoning),
            (&mut self.output_audio, more.output_audio),
        ];
        for (sum, more) in both {
            *sum = sum.saturating_add(more);
        }
        if more.tier != ServiceTier::Standard {
            self.tier = more.tier;
        }
    }
}

/// How a request was served, by the provider's own word in its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServiceTier {
    /// As all are, unless something else is said.
    #[default]
    Standard,
    /// Sooner, for more.
    Priority,
    /// When there is room, for less.
    Flex,
    /// Within a day, for less.
    Batch,
}

impl ServiceTier {
    /// What `service_tier` of an answer means (OpenAI, Anthropic, Bedrock, Gemini), or `trafficType` (Vertex). Names that are
    /// not priced apart are the standard.
    ///
    /// - <https://platform.openai.com/docs/api-reference/chat/object>
    /// - <https://docs.cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse>
    pub fn named(name: &str) -> Self {
        match name {
            "priority" | "PRIORITY" | "ON_DEMAND_PRIORITY" => Self::Priority,
            "flex" | "FLEX" | "ON_DEMAND_FLEX" => Self::Flex,
            "batch" => Self::Batch,
            _ => Self::Standard,
        }
    }

    /// The tier by which a provider of this kind charges for it.
    pub fn charged(self, kind: &str) -> Self {
        // "Pricing matches the on-demand tier": https://console.groq.com/docs/flex-processing
        if kind == "groq" { Self::Standard } else { self }
    }

    /// Its name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Priority => "priority",
            Self::Flex => "flex",
            Self::Batch => "batch",
        }
    }
}

/// What a stream says next. Every delta belongs to one choice, whose number goes with it (see [`Sink`]).
#[derive(Debug, Clone, PartialEq)]
pub enum Delta<'a> {
    /// The answer begins; this is the provider's id of it. Comes first, once.
    Start(Str<'a>),
    /// More text.
    Text(Str<'a>),
    /// More of a thought. `block` tells thoughts apart.
    Thinking {
        /// Number of the thought within the choice, from 0.
        block: u32,
        /// More of its text.
        text: Str<'a>,
    },
    /// The signature of a thought, whole.
    Signature {
        /// Number of the thought.
        block: u32,
        /// The signature.
        signature: Str<'a>,
    },
    /// A thought in encrypted form, whole.
    RedactedThinking {
        /// Number of the thought.
        block: u32,
        /// The encrypted thought.
        data: Str<'a>,
    },
    /// A call of a tool begins.
    ToolCall {
        /// Number of the call within the choice: from 0, one by one.
        call: u32,
        /// [`ToolCall::id`]
        id: Str<'a>,
        /// [`ToolCall::name`]
        name: Str<'a>,
        /// [`ToolCall::signature`]
        signature: Option<Str<'a>>,
    },
    /// More of the JSON text of a call's arguments. A call that ends without any has the arguments `{}`.
    ToolArguments {
        /// Number of the call.
        call: u32,
        /// The next piece of the text.
        json: Str<'a>,
    },
    /// More of a refusal.
    Refusal(Str<'a>),
    /// Where something in the text so far is from.
    Citation(Citation<'a>),
    /// How probable the tokens were that came last; never empty.
    Logprobs(Vec<Logprob<'a>>),
    /// An image, whole.
    Image(Media<'a>),
    /// More sound.
    Audio(Media<'a>),
    /// The choice is complete. Comes last for its choice, once.
    Finish(Finish<'a>),
    /// What the answer took, in whole. Comes at most once, and after everything else.
    Usage(Usage),
    /// Nothing happened, but the provider is alive.
    KeepAlive,
}

impl Delta<'_> {
    /// Whether a client that saw it has seen some of the answer, so that no other provider can take over any more.
    pub fn is_content(&self) -> bool {
        match self {
            Delta::Text(text) | Delta::Refusal(text) | Delta::Thinking { text, .. } => !text.is_empty(),
            Delta::Signature { .. } | Delta::RedactedThinking { .. } | Delta::ToolCall { .. } => true,
            Delta::ToolArguments { .. } | Delta::Finish(_) | Delta::Image(_) | Delta::Audio(_) => true,
            Delta::Citation(_) | Delta::Logprobs(_) => true,
            Delta::Start(_) | Delta::Usage(_) | Delta::KeepAlive => false,
        }
    }
}

/// Who takes the deltas of a stream.
pub trait Sink {
    /// Takes the next delta of choice number `choice`.
    fn push(&mut self, choice: u32, delta: Delta<'_>);
}

impl<F: FnMut(u32, Delta<'_>)> Sink for F {
    fn push(&mut self, choice: u32, delta: Delta<'_>) {
        self(choice, delta);
    }
}
