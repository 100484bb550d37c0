//! Azure OpenAI: OpenAI's dialect, with deployments in the place of models and a credential of its own.
//!
//! <https://learn.microsoft.com/azure/ai-services/openai/reference>. With `api_version` the deployment is in the path;
//! without, it is the body's `model`, on the path `/openai/v1`, which has no versions.
//!
//! What is special in answers passes as it is: filter results beside choices, a first chunk that has only them, choices
//! without `delta`.

use super::{Failure, Kind, Setting, Speech, Target, classify};
use crate::dialect::Operation;
use crate::error::{Cause, Error};
use crate::json::Value;

/// The kind `azure-openai`.
#[derive(Debug)]
pub struct AzureOpenAi;

impl Kind for AzureOpenAi {
    fn name(&self) -> &'static str {
        "azure-openai"
    }

    fn base_url(&self) -> Option<&'static str> {
        None
    }

    fn settings(&self) -> &'static [Setting] {
        &[Setting { key: "api_version", required: false }]
    }

    fn offers(&self, operation: Operation, _model: &str) -> bool {
        operation != Operation::Moderations
    }

    fn path(&self, target: &Target<'_>) -> String {
        let operation = target.operation.path();
        match &target.settings.api_version {
            None => format!("/openai/v1{operation}"),
            Some(version) => {
                let deployment = encode(target.model);
                format!("/openai/deployments/{deployment}{operation}?api-version={version}")
            }
        }
    }

    /// A token of Entra is a JWT, which a key never looks like.
    fn credential(&self, key: &str) -> (&'static str, String) {
        if key.starts_with("eyJ") && key.contains('.') {
            ("authorization", format!("Bearer {key}"))
        } else {
            ("api-key", key.to_owned())
        }
    }

    fn speech(&self) -> Speech {
        Speech::OpenAi
    }

    fn error(&self, failure: &Failure<'_>) -> Error {
        let error = classify::error(failure.status, failure.body);
        // The filter says so inside; what is outside of it has changed over the years.
        let inner = failure.body.and_then(|body| body.path(&["error", "innererror", "code"])).and_then(Value::as_str);
        match inner {
            Some(code) if code == "ResponsibleAIPolicyViolation" => Error { cause: Cause::ContentPolicy, ..error },
            _ => error,
        }
    }
}

/// `name` as one segment of a path.
fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::AzureOpenAi;
    use crate::error::Cause;
    use crate::json::Document;
    use crate::providers::{Failure, Kind, Settings, Target};

    #[test]
    fn a_deployment_is_in_the_path_or_in_the_body() {
        let dated = Settings { api_version: Some("2024-10-21".to_owned()), ..Settings::default() };
        for (settings, path) in [
            (&dated, "/openai/deployments/gpt%2F4o-prod/chat/completions?api-version=2024-10-21"),
            (&Settings::default(), "/openai/v1/chat/completions"),
        ] {
            assert_eq!(AzureOpenAi.path(&Target { settings, ..Target::new("gpt/4o-prod") }), path);
        }
    }

    #[test]
    fn keys_and_tokens_have_headers_of_their_own() {
        assert_eq!(AzureOpenAi.credential("ab12"), ("api-key", "ab12".to_owned()));
        assert_eq!(AzureOpenAi.credential("eyJ0.eyJh.c2ln"), ("authorization", "Bearer eyJ0.eyJh.c2ln".to_owned()));
    }

    #[test]
    fn errors_mean_what_azure_says() {
        for (status, error, cause) in [
            (
                400,
                r#"{"code":"content_filter","message":"m","innererror":{"code":"ResponsibleAIPolicyViolation"}}"#,
                Cause::ContentPolicy,
            ),
            (
                400,
                r#"{"code":null,"message":"m","innererror":{"code":"ResponsibleAIPolicyViolation"}}"#,
                Cause::ContentPolicy,
            ),
            (404, r#"{"code":"DeploymentNotFound","message":"m"}"#, Cause::TargetNotFound),
            (401, r#"{"code":"401","message":"Access denied"}"#, Cause::Authentication),
            (429, r#"{"code":"RateLimitReached","message":"m"}"#, Cause::RateLimited),
        ] {
            let body = format!(r#"{{"error":{error}}}"#);
            let document = Document::parse(body.as_bytes()).unwrap();
            let failure = Failure { status, body: Some(document.root()), name: None };
            assert_eq!(AzureOpenAi.error(&failure).cause, cause, "{error}");
        }
    }
}
