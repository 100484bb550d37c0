//! Vendors and servers that speak OpenAI's dialect: one row each. To add one: a row here and one in README.
//!
//! A row says only what is documented, or was seen to be refused; what is behind it stands beside it. Whatever a model of
//! a vendor refuses that its others take (xAI's reasoning models, penalties) is left to the vendor's own error, or to `drop`
//! of the operator's target.

use super::{Differences, Failure, Kind, Speech, Target, classify};
use crate::dialect::Operation;
use crate::error::Error;

/// A vendor, or a server that one can run.
#[derive(Debug)]
pub struct Vendor {
    name: &'static str,
    /// `None`: there is an account or a workspace in it.
    base_url: Option<&'static str>,
    differences: Differences,
}

impl Kind for Vendor {
    fn name(&self) -> &'static str {
        self.name
    }

    fn base_url(&self) -> Option<&'static str> {
        self.base_url
    }

    /// Not all of them have all of it; where one has not, its own 404 says so, and the next target is tried.
    fn offers(&self, _operation: Operation, _model: &str) -> bool {
        true
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

    fn differences(&self) -> &Differences {
        &self.differences
    }

    fn error(&self, failure: &Failure<'_>) -> Error {
        classify::error(failure.status, failure.body)
    }
}

/// One that takes what OpenAI takes, as far as is known.
const fn same(name: &'static str, base_url: &'static str) -> Vendor {
    Vendor { name, base_url: Some(base_url), differences: Differences::NONE }
}

const fn other(name: &'static str, base_url: &'static str, differences: Differences) -> Vendor {
    Vendor { name, base_url: Some(base_url), differences }
}

/// With `https://HOST/serving-endpoints` and `https://api.cloudflare.com/client/v4/accounts/ACCOUNT/ai/v1`.
const fn somewhere(name: &'static str) -> Vendor {
    Vendor { name, base_url: None, differences: Differences::NONE }
}

const NONE: Differences = Differences::NONE;

/// What clients get with an answer and send back, and strict servers call unsupported.
const OF_ANSWERS: &[&str] = &["reasoning_content", "reasoning_details", "refusal", "annotations", "audio"];

/// The rows.
pub static VENDORS: [Vendor; 24] = [
    // https://inference-docs.cerebras.ai/resources/openai: the penalties and `logit_bias` are a 400; and so is a message's
    // `reasoning_content` ("wrong_api_format"). Whether `parallel_tool_calls` and `service_tier` still are, it leaves open.
    other(
        "cerebras",
        "https://api.cerebras.ai/v1",
        Differences {
            refuses: &["frequency_penalty", "logit_bias", "presence_penalty"],
            message_refuses: OF_ANSWERS,
            ..NONE
        },
    ),
    somewhere("cloudflare"),
    // https://alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope: Singapore; other regions
    // have other hosts. Roles: system, user, assistant, tool.
    other(
        "dashscope",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        Differences { knows_developer: false, ..NONE },
    ),
    somewhere("databricks"),
    same("deepinfra", "https://api.deepinfra.com/v1/openai"),
    // https://api-docs.deepseek.com/api/create-chat-completion: has `max_tokens` only. "unknown variant `developer`,
    // expected one of `system`, `user`, `assistant`, `tool`".
    other(
        "deepseek",
        "https://api.deepseek.com",
        Differences { renames: &[("max_completion_tokens", "max_tokens")], knows_developer: false, ..NONE },
    ),
    same("fireworks", "https://api.fireworks.ai/inference/v1"),
    same("github", "https://models.github.ai/inference"),
    // https://console.groq.com/docs/openai: a 400 for these and for a message's `name`; `n` above 1 is refused by its own
    // words. "property 'reasoning_content' is unsupported" for what clients send back of an answer.
    other(
        "groq",
        "https://api.groq.com/openai/v1",
        Differences {
            refuses: &["logit_bias", "logprobs", "top_logprobs"],
            message_refuses: &["name", "reasoning_content", "reasoning_details", "refusal", "annotations", "audio"],
            ..NONE
        },
    ),
    same("huggingface", "https://router.huggingface.co/v1"),
    same("llamacpp", "http://127.0.0.1:8080/v1"),
    same("lmstudio", "http://127.0.0.1:1234/v1"),
    same("minimax", "https://api.minimax.io/v1"),
    same("moonshot", "https://api.moonshot.ai/v1"),
    same("nvidia", "https://integrate.api.nvidia.com/v1"),
    same("openrouter", "https://openrouter.ai/api/v1"),
    same("perplexity", "https://api.perplexity.ai"),
    // https://docs.sambanova.ai/docs/en/features/openai-compatibility: "not yet supported and will be ignored". Messages
    // are of system, user, assistant and tool.
    other(
        "sambanova",
        "https://api.sambanova.ai/v1",
        Differences {
            refuses: &["frequency_penalty", "logit_bias", "presence_penalty"],
            knows_developer: false,
            ..NONE
        },
    ),
    same("sglang", "http://127.0.0.1:30000/v1"),
    same("tgi", "http://127.0.0.1:3000/v1"),
    same("together", "https://api.together.xyz/v1"),
    same("vllm", "http://127.0.0.1:8000/v1"),
    same("xai", "https://api.x.ai/v1"),
    // https://docs.z.ai/api-reference/llm/chat-completion: has `max_tokens` only; roles system, user, assistant, tool.
    other(
        "zhipu",
        "https://api.z.ai/api/paas/v4",
        Differences { renames: &[("max_completion_tokens", "max_tokens")], knows_developer: false, ..NONE },
    ),
];

#[cfg(test)]
mod tests {
    use super::VENDORS;
    use crate::config::BaseUrl;
    use crate::providers::{KINDS, Kind, find};

    #[test]
    fn every_row_is_sound() {
        let readme = include_str!("../../README.md");
        for vendor in &VENDORS {
            let url = vendor.base_url().map(str::parse::<BaseUrl>);
            assert!(url.is_none_or(|url| url.is_ok()), "{}", vendor.name);
            for (old, new) in vendor.differences.renames {
                assert!(!vendor.differences.refuses.iter().any(|name| name == old || name == new), "{}", vendor.name);
            }
        }
        for kind in KINDS {
            let name = kind.name();
            assert_eq!(KINDS.iter().filter(|kind| kind.name() == name).count(), 1, "{name} is there twice");
            assert!(find(name).is_some(), "{name}");
            assert!(readme.contains(&format!("\n| `{name}` | ")), "{name} has no row in README");
        }
        assert!(VENDORS.is_sorted_by_key(|vendor| vendor.name), "rows are in the order of their names");
    }
}
