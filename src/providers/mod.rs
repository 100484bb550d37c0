//! How providers speak. One file per native provider, one row of a table per compatible vendor; one list, [`KINDS`]. None
//! knows another, nor any client.

pub mod anthropic;
mod azure;
pub mod bedrock;
mod classify;
pub mod cohere;
mod compatible;
mod embed;
pub mod gemini;
mod mistral;
pub mod ollama;
pub mod openai;
mod others;
mod pieces;
mod structured;
mod vertex;

use core::fmt::Debug;

use crate::chat::{Answer, Request, Sink, Usage};
use crate::dialect::Differences;
pub use crate::dialect::Dropped;
use crate::dialect::Operation;
use crate::embedding;
use crate::error::Error;
use crate::json::{Document, Value};

/// Those with a file of their own. To add one: a file here, a line in this list, vectors, a row in README.
const FILES: &[&dyn Kind] = &[
    &openai::OpenAi,
    &azure::AzureOpenAi,
    &anthropic::Anthropic,
    &bedrock::Bedrock,
    &cohere::Cohere,
    &gemini::Gemini,
    &mistral::Mistral,
    &ollama::Ollama,
    &VERTEX,
];

/// Vertex has models of others in their own languages; these are the ones that it knows how to speak to.
static VERTEX: vertex::Vertex = vertex::Vertex {
    google: vertex::Publisher { translator: &gemini::VERTEX, embedder: Some(&gemini::OnVertex), error: gemini::error },
    anthropic: vertex::Publisher { translator: &anthropic::VERTEX, embedder: None, error: anthropic::error },
};

/// Every kind that an operator can name: [`FILES`], and the rows of [`compatible::VENDORS`].
pub static KINDS: &[&dyn Kind] = &all();

// Past the end it does not compile.
#[allow(clippy::indexing_slicing)]
const fn all() -> [&'static dyn Kind; FILES.len() + compatible::VENDORS.len()] {
    let mut all = [FILES[0]; FILES.len() + compatible::VENDORS.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < FILES.len() { FILES[at] } else { &compatible::VENDORS[at - FILES.len()] };
        at += 1;
    }
    all
}

/// The kind with that name.
pub fn find(name: &str) -> Option<&'static dyn Kind> {
    KINDS.iter().copied().find(|kind| kind.name() == name)
}

/// A kind of provider: where it is, how it wants to be addressed, what it speaks.
pub trait Kind: Sync + Debug {
    /// Its name in configuration.
    fn name(&self) -> &'static str;

    /// Where it is unless the operator says otherwise; `None` if only the operator can know.
    fn base_url(&self) -> Option<&'static str>;

    /// The same with what the operator has said: `{region}` and `{project}` stand for settings.
    fn home(&self, settings: &Settings) -> Option<String> {
        let url = self.base_url()?.replace("{region}", settings.region.as_deref().unwrap_or_default());
        Some(url.replace("{project}", settings.project.as_deref().unwrap_or_default()))
    }

    /// What it has to be told in configuration besides; see [`Settings`].
    fn settings(&self) -> &'static [Setting] {
        &[]
    }

    /// Whether the model can be asked for this.
    fn offers(&self, operation: Operation, _model: &str) -> bool {
        match operation {
            Operation::Chat => true,
            Operation::Embeddings => self.embedder().is_some(),
            Operation::Completions | Operation::Moderations => false,
        }
    }

    /// The path of a request, after the base URL's; where there is an [`Embedder`], it has that of embeddings.
    fn path(&self, target: &Target<'_>) -> String;

    /// The header that carries the credential `key`: name and value.
    fn credential(&self, key: &str) -> (&'static str, String);

    /// Whether access tokens of Google's metadata server are credentials.
    fn takes_gcp_tokens(&self) -> bool {
        false
    }

    /// Headers that every request needs besides: names and values.
    fn headers(&self, _target: &Target<'_>) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// What Envoy does to a request after the module.
    fn signing(&self) -> Signing {
        Signing::None
    }

    /// What it speaks.
    fn speech(&self) -> Speech;

    /// What it speaks to a model, where that is not the same for all.
    fn speech_to(&self, _model: &str) -> Speech {
        self.speech()
    }

    /// Who writes requests for chats, where OpenAI's dialect is spoken in answers and not quite in those.
    fn writer(&self) -> Option<&'static dyn RequestWriter> {
        None
    }

    /// How it is asked for embeddings, if that is not in OpenAI's dialect.
    fn embedder(&self) -> Option<&'static dyn Embedder> {
        None
    }

    /// Where it wants OpenAI's dialect otherwise than OpenAI, if it speaks that.
    fn differences(&self) -> &Differences {
        const { &Differences::NONE }
    }

    /// What an answer that is an error means.
    fn error(&self, failure: &Failure<'_>) -> Error;
}

/// What a provider speaks.
#[derive(Clone, Copy)]
pub enum Speech {
    /// OpenAI's dialect: an OpenAI client's bodies are spliced, never rewritten, but for requests that have a
    /// [`RequestWriter`].
    OpenAi,
    /// A dialect of its own.
    Native(&'static dyn Translator),
}

/// From the neutral vocabulary to what a provider makes of OpenAI's dialect.
pub trait RequestWriter: Sync {
    /// Writes the provider's body for `request` to `out`.
    ///
    /// # Errors
    /// The request cannot be said to the provider; always the client's fault.
    fn request(&self, request: &Request<'_>, target: &Target<'_>, out: &mut String) -> Result<Dropped, Error>;
}

/// Between the neutral vocabulary and a provider's own dialect.
pub trait Translator: Sync {
    /// Writes the provider's body for `request` to `out`.
    ///
    /// # Errors
    /// The request cannot be said in the provider's dialect; always the client's fault.
    fn request(&self, request: &Request<'_>, target: &Target<'_>, out: &mut String) -> Result<Dropped, Error>;

    /// Reads a complete answer.
    ///
    /// # Errors
    /// It is none: an error inside a 200, or not what the provider's interface promises.
    fn answer<'a>(&self, body: &'a Document<'a>) -> Result<Answer<'a>, Error>;

    /// By what name the provider's thoughts and their signatures are known, so that they are shown to no other:
    /// OpenRouter's word, as in `reasoning_details[].format`.
    fn thoughts(&self) -> &'static str {
        ""
    }

    /// Whether an answer of this media type (lower case, without parameters) is a stream.
    fn is_stream(&self, media_type: &str) -> bool {
        media_type == "text/event-stream"
    }

    /// A decoder for one streamed answer.
    fn stream(&self) -> Box<dyn StreamDecoder>;
}

/// Between the neutral vocabulary of embeddings and a provider's own dialect. Errors are the [`Kind`]'s, as for chats.
pub trait Embedder: Sync {
    /// The path of the request, after the base URL's: it can depend on the inputs.
    fn path(&self, request: &embedding::Request<'_>, target: &Target<'_>) -> String;

    /// Writes the provider's body for `request` to `out`.
    ///
    /// # Errors
    /// The request cannot be said in the provider's dialect, or has more inputs than the provider takes at once; always the
    /// client's fault.
    fn request(
        &self,
        request: &embedding::Request<'_>,
        target: &Target<'_>,
        out: &mut String,
    ) -> Result<Dropped, Error>;

    /// Reads an answer.
    ///
    /// # Errors
    /// It is none: an error inside a 200, or not what the provider's interface promises.
    fn answer<'a>(&self, body: &'a Document<'a>) -> Result<embedding::Answer<'a>, Error>;
}

/// Reads one streamed answer. The same deltas come out however the bytes are cut.
pub trait StreamDecoder {
    /// Takes the next bytes. Pieces of events are kept until the rest comes.
    ///
    /// # Errors
    /// The provider sent an error event, or nonsense. The stream is over then; what was pushed before stays good.
    fn push(&mut self, chunk: &[u8], out: &mut dyn Sink) -> Result<(), Error>;

    /// Whether the answer is complete by the provider's own word: whatever follows is not for the client.
    fn is_over(&self) -> bool;

    /// The provider ended the stream.
    ///
    /// # Errors
    /// It did so before the answer was complete.
    fn end(&mut self, out: &mut dyn Sink) -> Result<(), Error>;

    /// What the provider has told of its usage by now, where it tells some before the end: the prompt's tokens, mostly.
    fn told(&self) -> Option<Usage> {
        None
    }
}

/// What one attempt is addressed to.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The provider's name for the model.
    pub model: &'a str,
    /// What it is asked for.
    pub operation: Operation,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// What the operator has said about the provider.
    pub settings: &'a Settings,
}

impl<'a> Target<'a> {
    /// For an answer that is not streamed, of a provider of which nothing was said.
    pub fn new(model: &'a str) -> Self {
        static NOTHING: Settings = Settings { api_version: None, project: None, region: None };
        Self { model, operation: Operation::Chat, stream: false, settings: &NOTHING }
    }
}

/// What only some kinds have to be told in configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// Azure: the date in the query of every request.
    pub api_version: Option<String>,
    /// Vertex: the Google Cloud project.
    pub project: Option<String>,
    /// Bedrock, Vertex: where the service runs.
    pub region: Option<String>,
}

/// One of the [`Settings`], as a kind asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Its key in configuration.
    pub key: &'static str,
    /// Whether there is no doing without it.
    pub required: bool,
}

/// What Envoy does to a request after the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// Nothing.
    None,
    /// Signs it with AWS Signature Version 4 for this service, unless there is an `api_key`.
    Aws(&'static str),
}

/// An answer that is an error.
#[derive(Debug, Clone, Copy, Default)]
pub struct Failure<'a> {
    /// Its status; 200 for an error inside of one.
    pub status: u16,
    /// Its body, if it is JSON.
    pub body: Option<Value<'a>>,
    /// `x-amzn-errortype`: Bedrock has the name of the error there.
    pub name: Option<&'a str>,
}
