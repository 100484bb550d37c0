//! Mistral: OpenAI's dialect in answers, and in requests one that takes nothing that it does not know.
//!
//! <https://docs.mistral.ai/api>: whatever is not in its schema is "Extra inputs are not permitted", inside of messages and
//! tools too. So requests for chats are written anew, while answers and streams are spliced: what is new in them passes.

mod effort;
mod messages;
mod request;

use super::{Differences, Dropped, Failure, Kind, RequestWriter, Speech, Target, classify};
use crate::chat::Request;
use crate::dialect::Operation;
use crate::error::Error;

/// The kind `mistral`.
#[derive(Debug)]
pub struct Mistral;

impl Kind for Mistral {
    fn name(&self) -> &'static str {
        "mistral"
    }

    fn base_url(&self) -> Option<&'static str> {
        Some("https://api.mistral.ai/v1")
    }

    /// Its `/v1/fim/completions` takes and gives other things than OpenAI's completions.
    fn offers(&self, operation: Operation, _model: &str) -> bool {
        operation != Operation::Completions
    }

    fn path(&self, target: &Target<'_>) -> String {
        target.operation.path().to_owned()
    }

    fn credential(&self, key: &str) -> (&'static str, String) {
        ("authorization", format!("Bearer {key}"))
    }

    fn speech(&self) -> Speech {
        Speech::OpenAi
    }

    fn writer(&self) -> Option<&'static dyn RequestWriter> {
        Some(&Mistral)
    }

    /// Of embeddings: <https://docs.mistral.ai/api/endpoint/embeddings>
    fn differences(&self) -> &Differences {
        const { &Differences { refuses: &["user"], renames: &[("dimensions", "output_dimension")], ..Differences::NONE } }
    }

    fn error(&self, failure: &Failure<'_>) -> Error {
        classify::error(failure.status, failure.body)
    }
}

impl RequestWriter for Mistral {
    fn request(&self, request: &Request<'_>, target: &Target<'_>, out: &mut String) -> Result<Dropped, Error> {
        request::write(request, target, out)
    }
}
