//! Requests for embeddings, and the answers to them.
//!
//! <https://platform.openai.com/docs/api-reference/embeddings>. Images are asked for as OpenRouter has it: an input can be an
//! object with `content`, whose parts are those of a message.
//! <https://openrouter.ai/docs/api/reference/embeddings>

use super::field::Field;
use super::media::media;
use crate::dialect::vector::{Base64, Numbers};
use crate::embedding::{Answer, Encoding, Input, Part, Request};
use crate::error::{Cause, Error};
use crate::json::{Document, Kind, Writer};

/// Reads a request for embeddings into the neutral vocabulary.
///
/// # Errors
/// The request is not what OpenAI's interface asks for; always the client's fault.
pub fn embeddings_request<'a>(document: &'a Document<'a>) -> Result<Request<'a>, Error> {
    let root = document.root();
    if root.kind() != Kind::Object {
        return Err(Error::new(Cause::BadRequest, "The body of the request has to be a JSON object."));
    }
    let mut request = Request::default();
    for (name, value) in root.members().filter(|(_, value)| !value.is_null()) {
        let text = name.decode();
        let field = Field::top(&text, value);
        match &*text {
            "model" => {}
            "input" => request.inputs = inputs(&field)?,
            "dimensions" => request.dimensions = Some(dimensions(&field)?),
            "encoding_format" => request.encoding = encoding(&field)?,
            "user" => request.user = Some(field.text()?),
            _ => request.others.push((name.clone(), value)),
        }
    }
    if request.inputs.is_empty() {
        return Err(Error::bad_request("Missing required parameter: 'input'.", "input"));
    }
    Ok(request)
}

/// How the client wants its vectors written, of a request that goes on as it is: there, what else is wrong with it is the
/// provider's to say.
pub fn embeddings_encoding(document: &Document<'_>) -> Encoding {
    let root = document.root();
    let asked = root.get("encoding_format").and_then(|format| encoding(&Field::top("encoding_format", format)).ok());
    asked.unwrap_or_default()
}

fn inputs<'a>(input: &Field<'_, 'a>) -> Result<Vec<Input<'a>>, Error> {
    const EXPECTED: &str = "one of a string or an array of strings, tokens or objects with content";
    match input.value.kind() {
        Kind::String => Ok(vec![Input::Text(input.text()?)]),
        Kind::Array if input.value.elements().next().is_none() => Err(input.invalid("expected at least one input")),
        Kind::Array if is_tokens(input) => Ok(vec![Input::Tokens]),
        Kind::Array => {
            let one = |one: Field<'_, 'a>| match one.value.kind() {
                Kind::String => one.text().map(Input::Text),
                Kind::Array if is_tokens(&one) => Ok(Input::Tokens),
                Kind::Object => parts(&one),
                _ => Err(one.wrong_type(EXPECTED)),
            };
            input.elements()?.map(one).collect()
        }
        _ => Err(input.wrong_type(EXPECTED)),
    }
}

fn is_tokens(list: &Field<'_, '_>) -> bool {
    let mut tokens = list.value.elements().peekable();
    tokens.peek().is_some() && tokens.all(|token| token.as_u64().is_some())
}

fn parts<'a>(input: &Field<'_, 'a>) -> Result<Input<'a>, Error> {
    let [content] = input.pick(["content"])?;
    let content = content.ok_or_else(|| input.missing("content"))?;
    let mut parts = content.elements()?.map(|one| part(&one)).collect::<Result<Vec<_>, _>>()?;
    match parts.pop() {
        None => Err(content.invalid("expected at least one part")),
        Some(Part::Text(text)) if parts.is_empty() => Ok(Input::Text(text)),
        Some(last) => {
            parts.push(last);
            Ok(Input::Parts(parts))
        }
    }
}

fn part<'a>(part: &Field<'_, 'a>) -> Result<Part<'a>, Error> {
    let [kind, text, image] = part.pick(["type", "text", "image_url"])?;
    let kind = kind.ok_or_else(|| part.missing("type"))?;
    let word = kind.text()?;
    match &*word.decode() {
        "text" => Ok(Part::Text(text.ok_or_else(|| part.missing("text"))?.text()?)),
        "image_url" => {
            let image = image.ok_or_else(|| part.missing("image_url"))?;
            let [url] = image.pick(["url"])?;
            Ok(Part::Image(media(&url.ok_or_else(|| image.missing("url"))?)?))
        }
        _ => Err(kind.unknown(&word, &["text", "image_url"])),
    }
}

fn dimensions(field: &Field<'_, '_>) -> Result<u64, Error> {
    match field.count()? {
        0 => Err(field.invalid("expected a number that is at least 1")),
        count => Ok(count),
    }
}

fn encoding(field: &Field<'_, '_>) -> Result<Encoding, Error> {
    let word = field.text()?;
    match &*word.decode() {
        "float" => Ok(Encoding::Float),
        "base64" => Ok(Encoding::Base64),
        _ => Err(field.unknown(&word, &["float", "base64"])),
    }
}

/// Appends the list of embeddings for `answer`, from `model`, to `out`.
pub fn embeddings(answer: &Answer<'_>, encoding: Encoding, model: &str, out: &mut String) {
    // Clients in typed languages do not read a list without it.
    let input = answer.usage.map_or(0, |usage| usage.input);
    Writer::new(out).object(|w| {
        w.field("object", "list");
        w.name("data").array(|w| {
            for (index, vector) in (0_u32..).zip(&answer.vectors) {
                w.object(|w| {
                    w.field("object", "embedding");
                    w.field("index", &index);
                    match encoding {
                        Encoding::Float => w.field("embedding", &Numbers(*vector)),
                        Encoding::Base64 => w.field("embedding", &Base64(*vector)),
                    }
                });
            }
        });
        w.field("model", model);
        w.name("usage").object(|w| {
            w.field("prompt_tokens", &input);
            w.field("total_tokens", &input);
        });
    });
}

#[cfg(test)]
mod tests {
    use super::{embeddings, embeddings_encoding, embeddings_request};
    use crate::chat::{Media, Usage};
    use crate::embedding::{Answer, Encoding, Input, Part};
    use crate::json::{Document, Value};

    fn told(input: &Input<'_>) -> String {
        match input {
            Input::Text(text) => text.escaped().to_owned(),
            Input::Tokens => "#".to_owned(),
            Input::Parts(parts) => parts
                .iter()
                .map(|part| match part {
                    Part::Text(text) => format!("({})", text.escaped()),
                    Part::Image(Media::Url(url)) => format!("<{}>", url.escaped()),
                    Part::Image(Media::Base64 { media_type, data }) => {
                        format!("[{} {}]", media_type.escaped(), data.escaped())
                    }
                })
                .collect(),
        }
    }

    #[test]
    fn inputs_have_many_forms() {
        for (input, expected) in [
            (r#""a\nb""#, &["a\\nb"][..]),
            (r#"["a","b"]"#, &["a", "b"]),
            ("[1,2]", &["#"]),
            (r#"[[1,2],[3]]"#, &["#", "#"]),
            (r#"[{"content":[{"type":"text","text":"a"}]},"b"]"#, &["a", "b"]),
            (
                r#"[{"content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,QQ=="}}]}]"#,
                &["(a)[image/png QQ==]"],
            ),
            (r#"[{"content":[{"type":"image_url","image_url":{"url":"https://a/b.png"}}]}]"#, &["<https://a/b.png>"]),
        ] {
            let body = format!(r#"{{"model":"m","input":{input},"user":null}}"#);
            let document = Document::parse(body.as_bytes()).unwrap();
            let request = embeddings_request(&document).unwrap();
            assert_eq!(request.inputs.iter().map(told).collect::<Vec<_>>(), expected, "{input}");
        }
    }

    #[test]
    fn parameters_are_read_and_others_kept() {
        let body = br#"{"model":"m","input":"a","dimensions":256,"encoding_format":"base64","user":"u","input_type":"search_query","truncate":null}"#;
        let document = Document::parse(body).unwrap();
        let request = embeddings_request(&document).unwrap();
        assert_eq!((request.dimensions, request.encoding), (Some(256), Encoding::Base64));
        assert_eq!(request.user.unwrap().escaped(), "u");
        let others: Vec<_> = request.others.iter().map(|(name, value)| (name.escaped(), value.raw())).collect();
        assert_eq!(others, [("input_type", "\"search_query\"")]);
        assert_eq!(embeddings_encoding(&document), Encoding::Base64);
    }

    #[test]
    fn what_is_no_request_is_refused_by_name() {
        for (members, param) in [
            ("", "input"),
            (r#""input":[]"#, "input"),
            (r#""input":7"#, "input"),
            (r#""input":["a",7]"#, "input[1]"),
            (r#""input":["a",[]]"#, "input[1]"),
            (r#""input":[{"content":[]}]"#, "input[0].content"),
            (r#""input":[{}]"#, "input[0].content"),
            (r#""input":[{"content":[{"type":"audio"}]}]"#, "input[0].content[0].type"),
            (r#""input":"a","dimensions":0"#, "dimensions"),
            (r#""input":"a","dimensions":-1"#, "dimensions"),
            (r#""input":"a","encoding_format":"int8""#, "encoding_format"),
        ] {
            let body = format!("{{{members}}}");
            let document = Document::parse(body.as_bytes()).unwrap();
            let error = embeddings_request(&document).unwrap_err();
            assert_eq!((error.client_status(), error.param.as_deref()), (400, Some(param)), "{body}");
            assert_eq!(embeddings_encoding(&document), Encoding::Float);
        }
    }

    #[test]
    fn a_list_is_written_in_either_encoding() {
        let document = Document::parse(b"[[1, -2.50], [1e-3, 0]]").unwrap();
        let vectors: Vec<Value<'_>> = document.root().elements().collect();
        let answer = Answer { vectors, usage: Some(Usage { input: 7, ..Usage::default() }) };
        for (encoding, first, second) in [
            (Encoding::Float, "[1,-2.50]", "[1e-3,0]"),
            // struct.pack("<2f", ...)
            (Encoding::Base64, r#""AACAPwAAIMA=""#, r#""bxKDOgAAAAA=""#),
        ] {
            let mut out = String::new();
            embeddings(&answer, encoding, "m", &mut out);
            assert_eq!(
                out,
                format!(
                    r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":{first}}},{{"object":"embedding","index":1,"embedding":{second}}}],"model":"m","usage":{{"prompt_tokens":7,"total_tokens":7}}}}"#
                )
            );
        }
    }
}
