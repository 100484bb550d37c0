//! Amazon Bedrock: Converse and ConverseStream, which are the same for all of its models, and InvokeModel for embeddings.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>. Shapes are taken from the model of the
//! API in botocore, where they are stricter than the pages.

mod answer;
mod citations;
mod embeddings;
mod extra;
mod failure;
mod id;
mod media;
mod messages;
mod models;
mod request;
mod stream;
mod tools;

use super::{
    Dropped, Embedder, Failure, Kind, Setting, Signing, Speech, StreamDecoder, Target, Translator, structured,
};
use crate::chat::{Answer, Request};
use crate::error::Error;
use crate::json::Document;

/// The kind `bedrock`.
#[derive(Debug)]
pub struct Bedrock;

impl Kind for Bedrock {
    fn name(&self) -> &'static str {
        "bedrock"
    }

    fn base_url(&self) -> Option<&'static str> {
        Some("https://bedrock-runtime.{region}.amazonaws.com")
    }

    fn settings(&self) -> &'static [Setting] {
        &[Setting { key: "region", required: true }]
    }

    fn path(&self, target: &Target<'_>) -> String {
        path(target.model, if target.stream { "converse-stream" } else { "converse" })
    }

    /// <https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys-use.html>
    fn credential(&self, key: &str) -> (&'static str, String) {
        ("authorization", format!("Bearer {key}"))
    }

    fn signing(&self) -> Signing {
        Signing::Aws("bedrock")
    }

    fn speech(&self) -> Speech {
        Speech::Native(&Bedrock)
    }

    fn embedder(&self) -> Option<&'static dyn Embedder> {
        Some(&Bedrock)
    }

    fn error(&self, failure: &Failure<'_>) -> Error {
        failure::of_status(failure)
    }
}

impl Translator for Bedrock {
    fn request(&self, request: &Request<'_>, target: &Target<'_>, out: &mut String) -> Result<Dropped, Error> {
        request::write(request, target, out)
    }

    fn answer<'a>(&self, body: &'a Document<'a>) -> Result<Answer<'a>, Error> {
        let mut answer = answer::read(body.root())?;
        structured::undo(&mut answer);
        Ok(answer)
    }

    /// A name of its own, though most of its thoughts are Claude's: redacted ones are encoded once more than Anthropic's are,
    /// and Nova's and others' thoughts come in the same field.
    fn thoughts(&self) -> &'static str {
        THOUGHTS
    }

    fn is_stream(&self, media_type: &str) -> bool {
        media_type == "application/vnd.amazon.eventstream"
    }

    fn stream(&self) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::default())
    }
}

/// By what name the thoughts are known.
const THOUGHTS: &str = "bedrock";

/// Where `model` is asked to do this. Ids have colons in them, and ARNs slashes.
fn path(model: &str, action: &str) -> String {
    let mut path = "/model/".to_owned();
    for byte in model.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            path.push(char::from(byte));
        } else {
            path.push('%');
            let digits = [byte >> 4, byte & 15];
            path.extend(digits.iter().filter_map(|digit| char::from_digit((*digit).into(), 16)).map(upper));
        }
    }
    path.push('/');
    path.push_str(action);
    path
}

fn upper(digit: char) -> char {
    digit.to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::Bedrock;
    use crate::providers::{Kind, Target};

    #[test]
    fn the_model_is_in_the_path() {
        for (model, stream, path) in [
            (
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                false,
                "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse",
            ),
            ("amazon.nova-micro-v1:0", true, "/model/amazon.nova-micro-v1%3A0/converse-stream"),
            (
                "arn:aws:bedrock:eu-west-1:1:application-inference-profile/a",
                false,
                "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Aapplication-inference-profile%2Fa/converse",
            ),
        ] {
            assert_eq!(Bedrock.path(&Target { stream, ..Target::new(model) }), path);
        }
    }
}
