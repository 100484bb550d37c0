//! A complete answer: the model's name is put back, the usage read.

use super::patch::Patches;
use super::request::literal;
use super::usage::usage;
use crate::chat::Usage;
use crate::error::Error;
use crate::json::{Document, Kind};

/// Appends the provider's answer `body` to `out` as the client is to get it: from `model`.
///
/// # Errors
/// It is none: `Err(Some)` for an error that the provider put into a 200, with its object as `classify` is to see it.
pub fn answer(
    body: &[u8],
    model: &str,
    classify: impl FnOnce(&Document<'_>) -> Error,
    out: &mut String,
) -> Result<Option<Usage>, Error> {
    let document = Document::parse(body)
        .map_err(|invalid| Error::bad_answer(format!("the provider's answer is not JSON: {invalid}")))?;
    let root = document.root();
    let choices = root.get("choices").filter(|choices| choices.elements().next().is_some());
    if root.get("error").is_some_and(|error| !error.is_null()) {
        return Err(classify(&document));
    }
    if choices.is_none() {
        return Err(Error::bad_answer("the provider's answer has no choices"));
    }
    let mut patches = Patches::default();
    if let Some(name) = root.get("model").filter(|name| name.kind() == Kind::String) {
        patches.replace(name.start()..name.end(), literal(model));
    }
    patches.apply(document.text(), out);
    Ok(root.get("usage").and_then(usage))
}

#[cfg(test)]
mod tests {
    use super::answer;
    use crate::chat::Usage;
    use crate::error::{Cause, Error};

    fn check(body: &str, expected: Result<(&str, Option<Usage>), Cause>) {
        let mut out = String::new();
        let result = answer(body.as_bytes(), "asked", |_| Error::new(Cause::Overloaded, "said so"), &mut out);
        let result = result.map(|usage| (out.as_str(), usage)).map_err(|error| error.cause);
        assert_eq!(result, expected, "{body}");
    }

    #[test]
    fn the_models_name_is_put_back_and_the_rest_stays() {
        check(
            r#" {"model":"m-1", "choices":[{"x":1.50}],"usage":{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1}}}"#,
            Ok((
                r#" {"model":"asked", "choices":[{"x":1.50}],"usage":{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1}}}"#,
                Some(Usage { input: 3, cached: 1, output: 2, ..Usage::default() }),
            )),
        );
        check(r#"{"choices":[{}],"usage":null}"#, Ok((r#"{"choices":[{}],"usage":null}"#, None)));
    }

    #[test]
    fn what_is_no_answer_is_a_failure() {
        check("", Err(Cause::BadAnswer));
        check("<html>", Err(Cause::BadAnswer));
        check("{}", Err(Cause::BadAnswer));
        check(r#"{"choices":[]}"#, Err(Cause::BadAnswer));
        check(r#"{"error":{"message":"x"}}"#, Err(Cause::Overloaded));
    }
}
