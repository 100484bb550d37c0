//! The neutral vocabulary of embeddings, beside [`crate::chat`]: vectors for texts, and for images where a model takes them.
//! Nothing here knows how any dialect spells anything.

use crate::chat::{Media, Usage};
use crate::json::{Str, Value};

/// What a client asks for: a vector for each input.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// What vectors are wanted for, in order; at least one.
    pub inputs: Vec<Input<'a>>,
    /// How many numbers a vector is to have; `None`: the model's default.
    pub dimensions: Option<u64>,
    /// An identifier of the end user.
    pub user: Option<Str<'a>>,
    /// How the vectors are to be written. That is done here, whatever the provider writes.
    pub encoding: Encoding,
    /// Parameters without a field of their own, by the name that the client gave them: `input_type`, `task_type`, `title`,
    /// `truncate` and so on. A provider takes those that it knows, and the rest is named as dropped.
    pub others: Vec<(Str<'a>, Value<'a>)>,
}

/// What one vector is wanted for.
#[derive(Debug, Clone)]
pub enum Input<'a> {
    /// A text.
    Text(Str<'a>),
    /// A text that is tokens already, of OpenAI's tokenizers: nobody else can read them.
    Tokens,
    /// Several parts that get one vector together, or one image.
    Parts(Vec<Part<'a>>),
}

/// A part of an [`Input`].
#[derive(Debug, Clone)]
pub enum Part<'a> {
    /// A text.
    Text(Str<'a>),
    /// An image.
    Image(Media<'a>),
}

/// How vectors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// As numbers.
    #[default]
    Float,
    /// As base64 of little-endian 32-bit floats.
    Base64,
}

/// What a provider answers.
#[derive(Debug, Clone)]
pub struct Answer<'a> {
    /// A vector for each input, in order: arrays of numbers, which stay as they are written.
    pub vectors: Vec<Value<'a>>,
    /// What it took, if the answer's body says so.
    pub usage: Option<Usage>,
}
