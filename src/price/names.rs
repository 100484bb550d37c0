//! Under which names a provider's model stands in the table.
//!
//! | kind | what is read past |
//! | --- | --- |
//! | all | nothing: a name is looked up as it stands first, and never under another kind |
//! | `openai`, `azure-openai`, `anthropic` | the date of a version: `-2024-08-06`, `-20250929` |
//! | `openai`, `azure-openai` | whose fine-tuned model it is: `ft:gpt-4.1-2025-04-14:acme::id`; it stays a fine-tuned one |
//! | `bedrock` | ARNs of models and of inference profiles; where a profile may send requests: `us.`, `eu.`, `global.`. A price of the region comes first. An application's profile has a name that says nothing |
//! | `gemini`, `vertex` | `models/`, `publishers/google/models/`, `google/`; a version: `@001`, `@20250929`, `-001` |
//! | `fireworks` | `accounts/fireworks/models/` |
//! | `ollama` | `:latest` |
//!
//! A version of its own price has a line of its own, and that is found first.

/// What `look` finds under the first name that it knows. It gets a line's name in parts, to be joined by `/`.
pub fn first<T>(
    kind: &str,
    region: Option<&str>,
    model: &str,
    look: &mut dyn FnMut(&[&str]) -> Option<T>,
) -> Option<T> {
    if kind == "bedrock" {
        let (region, model) = of_arn(model).unwrap_or((region, model));
        let mut at = |model: &str| {
            let there = region.and_then(|region| look(&[kind, region, model]));
            there.or_else(|| look(&[kind, model]))
        };
        return at(model).or_else(|| at(without_geography(model)?));
    }
    let mut name = canonical(kind, model);
    let mut found = look(&[kind, name]);
    for (_, cut) in CUTS.iter().filter(|(kinds, _)| kinds.contains(&kind)) {
        if found.is_none()
            && let Some(shorter) = cut(name)
        {
            name = shorter;
            found = look(&[kind, name]);
        }
    }
    found
}

/// A name without what every model of that kind can be called with.
pub fn canonical<'a>(kind: &str, model: &'a str) -> &'a str {
    let prefixes = PREFIXES.iter().filter(|(of, _)| *of == kind);
    prefixes.fold(model, |name, (_, prefix)| name.strip_prefix(prefix).unwrap_or(name))
}

/// In this order.
const PREFIXES: &[(&str, &str)] = &[
    ("gemini", "models/"),
    ("vertex", "publishers/google/models/"),
    ("vertex", "google/"),
    ("fireworks", "accounts/fireworks/models/"),
];

/// Takes a part off a name's end; `None` if it is not there.
type Cut = fn(&str) -> Option<&str>;

const CUTS: &[(&[&str], Cut)] = &[
    (&["openai", "azure-openai"], without_owner),
    (&["openai", "azure-openai", "anthropic"], without_date),
    (&["gemini", "vertex"], |name| Some(name.split_once('@')?.0)),
    (&["gemini", "vertex"], without_revision),
    (&["ollama"], |name| name.strip_suffix(":latest")),
];

/// `ft:BASE:ORGANISATION:SUFFIX:ID`
fn without_owner(name: &str) -> Option<&str> {
    let (base, _) = name.strip_prefix("ft:")?.split_once(':')?;
    name.get(..base.len() + "ft:".len())
}

/// `-2024-08-06` and `-20250929`
fn without_date(name: &str) -> Option<&str> {
    let shaped = |end: &str, shape: &str| {
        end.len() == shape.len()
            && end.bytes().zip(shape.bytes()).all(|(byte, like)| match like {
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            })
    };
    ["-0000-00-00", "-00000000"].iter().find_map(|shape| {
        let (before, end) = name.split_at_checked(name.len().checked_sub(shape.len())?)?;
        shaped(end, shape).then_some(before)
    })
}

/// `-001`
fn without_revision(name: &str) -> Option<&str> {
    let (before, end) = name.rsplit_once('-')?;
    (end.len() == 3 && end.bytes().all(|byte| byte.is_ascii_digit())).then_some(before)
}

/// `arn:aws:bedrock:REGION:ACCOUNT:foundation-model/MODEL`, or `inference-profile/MODEL`.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonbedrock.html>
fn of_arn(name: &str) -> Option<(Option<&str>, &str)> {
    let mut parts = name.strip_prefix("arn:")?.splitn(5, ':');
    let region = parts.nth(2).filter(|region| !region.is_empty());
    Some((region, parts.nth(1)?.split_once('/')?.1))
}

/// <https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html>
fn without_geography(name: &str) -> Option<&str> {
    const GEOGRAPHIES: &[&str] = &["us", "eu", "apac", "global", "us-gov", "jp", "au", "ca", "sa"];
    let (geography, model) = name.split_once('.')?;
    GEOGRAPHIES.contains(&geography).then_some(model)
}

#[cfg(test)]
mod tests {
    use super::first;

    /// All names that are tried.
    fn tried(kind: &str, region: Option<&str>, model: &str) -> Vec<String> {
        let mut tried = Vec::new();
        let found: Option<()> = first(kind, region, model, &mut |name| {
            tried.push(name.join("/"));
            None
        });
        assert!(found.is_none());
        tried
    }

    #[test]
    fn names_are_tried_from_the_most_exact_on() {
        for (kind, region, model, expected) in [
            ("openai", None, "gpt-4o", &["openai/gpt-4o"][..]),
            ("openai", None, "gpt-4o-2024-08-06", &["openai/gpt-4o-2024-08-06", "openai/gpt-4o"]),
            ("openai", None, "gpt-4-0613", &["openai/gpt-4-0613"]),
            (
                "openai",
                None,
                "ft:gpt-4.1-2025-04-14:acme::id",
                &["openai/ft:gpt-4.1-2025-04-14:acme::id", "openai/ft:gpt-4.1-2025-04-14", "openai/ft:gpt-4.1"],
            ),
            ("anthropic", None, "claude-x-20250929", &["anthropic/claude-x-20250929", "anthropic/claude-x"]),
            ("mistral", None, "m-2025-04-14", &["mistral/m-2025-04-14"]),
            (
                "bedrock",
                Some("eu-west-1"),
                "eu.a.b-v1:0",
                &[
                    "bedrock/eu-west-1/eu.a.b-v1:0",
                    "bedrock/eu.a.b-v1:0",
                    "bedrock/eu-west-1/a.b-v1:0",
                    "bedrock/a.b-v1:0",
                ],
            ),
            (
                "bedrock",
                Some("eu-west-1"),
                "arn:aws:bedrock:us-east-1:000000000000:inference-profile/us.a.b-v1:0",
                &[
                    "bedrock/us-east-1/us.a.b-v1:0",
                    "bedrock/us.a.b-v1:0",
                    "bedrock/us-east-1/a.b-v1:0",
                    "bedrock/a.b-v1:0",
                ],
            ),
            (
                "bedrock",
                None,
                "arn:aws:bedrock:us-east-1::foundation-model/a.b-v1:0",
                &["bedrock/us-east-1/a.b-v1:0", "bedrock/a.b-v1:0"],
            ),
            ("bedrock", None, "arn:aws", &["bedrock/arn:aws"]),
            ("bedrock", None, "a.b", &["bedrock/a.b"]),
            ("gemini", None, "models/gemini-x-001", &["gemini/gemini-x-001", "gemini/gemini-x"]),
            (
                "vertex",
                None,
                "publishers/google/models/gemini-x@20250929",
                &["vertex/gemini-x@20250929", "vertex/gemini-x"],
            ),
            ("vertex", None, "google/gemini-x", &["vertex/gemini-x"]),
            ("fireworks", None, "accounts/fireworks/models/m", &["fireworks/m"]),
            ("fireworks", None, "accounts/acme/models/m", &["fireworks/accounts/acme/models/m"]),
            ("ollama", None, "llama3:latest", &["ollama/llama3:latest", "ollama/llama3"]),
            ("openai", None, "", &["openai/"]),
            ("openai", None, "é-20250929é", &["openai/é-20250929é"]),
        ] {
            assert_eq!(tried(kind, region, model), expected, "{kind} {model}");
        }
    }
}
