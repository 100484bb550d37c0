//! What is served when no file is given: the real provider for each key in the environment, simulated ones for the others.

use std::net::SocketAddr;

use model_gateway::config::{BaseUrl, SecretRef};

use crate::load::{self, Loaded};

/// The configuration that comes with the command.
pub const TEXT: &str = include_str!("../../../envoy/model-gateway.yaml");
/// What it is called where a file would be.
pub const NAME: &str = "envoy/model-gateway.yaml";

/// The variable that holds the key for simulated providers, who want one like the real ones and take any.
pub const MOCK_KEY: &str = "MOCK_API_KEY";

/// The bundled configuration, with what was chosen for each provider.
pub struct Bundled {
    /// The configuration.
    pub loaded: Loaded,
    /// Which provider is real and which simulated, a line each.
    pub told: Vec<String>,
}

/// The bundled configuration, its simulated providers being at `mock`.
///
/// # Errors
/// None, unless the bundled file is wrong.
pub fn bundled(mock: SocketAddr, is_set: impl Fn(&str) -> bool) -> Result<Bundled, String> {
    let mut file = load::check(NAME, TEXT).map_err(|mistakes| mistakes.to_string())?.file;
    let mut told = Vec::new();
    for (name, provider) in &mut file.providers {
        let variable = match provider.kind.as_str() {
            // https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys-use.html
            "bedrock" => "AWS_BEARER_TOKEN_BEDROCK".to_owned(),
            kind => format!("{}_API_KEY", kind.to_uppercase().replace('-', "_")),
        };
        if is_set(&variable) {
            told.push(format!("{name}: real, with the key in {variable}"));
            provider.base_url = None;
            provider.api_key = Some(SecretRef::Word(format!("${{{variable}}}")));
        } else {
            told.push(format!("{name}: simulated; set {variable} for the real one"));
            let path = provider.base_url.as_deref().and_then(|url| url.parse().ok()).map(|url: BaseUrl| url.path);
            provider.base_url = Some(format!("http://{mock}{}", path.unwrap_or_default()));
        }
    }
    let loaded = Loaded::of(NAME, file).map_err(|mistakes| mistakes.to_string())?;
    Ok(Bundled { loaded, told })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    #[test]
    fn a_key_in_the_environment_makes_its_provider_real() {
        let mock: SocketAddr = "127.0.0.1:7".parse().unwrap();
        let bundled = super::bundled(mock, |variable| variable == "OPENAI_API_KEY").unwrap();
        let providers = &bundled.loaded.config.providers;
        assert_eq!(providers["openai"].servers[0].authority(), "api.openai.com");
        assert_eq!(providers["openai"].api_key.as_ref().unwrap().variable(), Some("OPENAI_API_KEY"));
        assert_eq!(providers["anthropic"].servers[0].authority(), "127.0.0.1:7");
        assert_eq!(providers["anthropic"].api_key.as_ref().unwrap().variable(), Some(super::MOCK_KEY));
        assert_eq!(bundled.told.len(), providers.len());
        let bundled = super::bundled(mock, |variable| variable == "AWS_BEARER_TOKEN_BEDROCK").unwrap();
        let bedrock = &bundled.loaded.config.providers["bedrock"];
        assert_eq!(bedrock.servers[0].authority(), "bedrock-runtime.us-east-1.amazonaws.com");
    }
}
