//! How clients speak to the gateway. One file per dialect; none knows a provider.

pub mod openai;

/// What an answer in any dialect needs besides its content.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// By what the answer is known if the provider has given it no id: Bedrock's have none.
    pub id: &'a str,
    /// The model by the name that the client asked for.
    pub model: &'a str,
    /// Seconds since 1970.
    pub created: u64,
    /// Whether a stream ends with a usage chunk.
    pub include_usage: bool,
    /// Whose thoughts are in it: [`crate::providers::Translator::thoughts`].
    pub thoughts: &'a str,
}
