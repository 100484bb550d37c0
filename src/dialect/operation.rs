//! What a client can ask a model for.

use serde::{Deserialize, Serialize};

/// An operation of OpenAI's interface that goes to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// To go on with a conversation: <https://platform.openai.com/docs/api-reference/chat>
    #[default]
    Chat,
    /// To go on with a text: <https://platform.openai.com/docs/api-reference/completions>
    Completions,
    /// Vectors for texts: <https://platform.openai.com/docs/api-reference/embeddings>
    Embeddings,
    /// Whether texts and images are fit to be shown: <https://platform.openai.com/docs/api-reference/moderations>
    Moderations,
}

impl Operation {
    /// Its name in logs and metrics: OpenTelemetry's where there is one, <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/>.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "text_completion",
            Self::Embeddings => "embeddings",
            Self::Moderations => "moderations",
        }
    }

    /// Its path after that of the interface.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::Moderations => "/moderations",
        }
    }

    /// The member that a request for it must have.
    pub fn subject(self) -> &'static str {
        match self {
            Self::Chat => "messages",
            Self::Completions => "prompt",
            Self::Embeddings | Self::Moderations => "input",
        }
    }

    /// The member of an answer that has what was asked for, as a list.
    pub fn result(self) -> &'static str {
        match self {
            Self::Chat | Self::Completions => "choices",
            Self::Embeddings => "data",
            Self::Moderations => "results",
        }
    }

    /// Whether an answer can be streamed.
    pub fn streams(self) -> bool {
        matches!(self, Self::Chat | Self::Completions)
    }
}
