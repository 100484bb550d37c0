//! Google's models on Vertex AI, which speak Google's language behind another envelope.
//!
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference>. The region `global` has no name of its
//! own in the host: there `base_url` is `https://aiplatform.googleapis.com`.
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations#global-endpoint>

use super::super::{Embedder, Failure, Kind, Setting, Speech, Target};
use super::embeddings::OnVertex;
use super::{VERTEX, error, method, segment};
use crate::error::Error;

/// The kind `vertex`.
#[derive(Debug)]
pub struct Vertex;

impl Kind for Vertex {
    fn name(&self) -> &'static str {
        "vertex"
    }

    fn base_url(&self) -> Option<&'static str> {
        Some("https://{region}-aiplatform.googleapis.com")
    }

    fn settings(&self) -> &'static [Setting] {
        &[Setting { key: "project", required: true }, Setting { key: "region", required: true }]
    }

    fn path(&self, target: &Target<'_>) -> String {
        let setting = |value: &Option<String>| segment(value.as_deref().unwrap_or_default());
        let (project, region) = (setting(&target.settings.project), setting(&target.settings.region));
        let (model, method) = (segment(target.model), method(target));
        format!("/v1/projects/{project}/locations/{region}/publishers/google/models/{model}{method}")
    }

    fn credential(&self, key: &str) -> (&'static str, String) {
        ("authorization", format!("Bearer {key}"))
    }

    fn speech(&self) -> Speech {
        Speech::Native(&VERTEX)
    }

    fn embedder(&self) -> Option<&'static dyn Embedder> {
        Some(&OnVertex)
    }

    fn error(&self, failure: &Failure<'_>) -> Error {
        error(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::Vertex;
    use crate::providers::{Kind, Settings, Target};

    #[test]
    fn project_and_region_are_in_the_path() {
        let settings = Settings {
            project: Some("acme".to_owned()),
            region: Some("europe-west4".to_owned()),
            ..Settings::default()
        };
        let target = Target { stream: true, settings: &settings, ..Target::new("gemini-2.5-pro") };
        assert_eq!(
            Vertex.path(&target),
            "/v1/projects/acme/locations/europe-west4/publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse"
        );
    }
}
