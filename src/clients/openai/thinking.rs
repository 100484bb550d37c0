//! What the model thought, as clients send it back with its next turn. Clients that gather a stream may send the deltas
//! as they came, many to a thought.

use super::field::Field;
use crate::chat::Part;
use crate::error::Error;
use crate::json::{Kind, Str};

/// `reasoning_details`, OpenRouter's format:
/// <https://openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning-blocks>. Returns their `format`.
pub(super) fn details<'a>(list: &Field<'_, 'a>, parts: &mut Vec<Part<'a>>) -> Result<Option<Str<'a>>, Error> {
    let mut thoughts = Thoughts { parts, open: None };
    let mut format = None;
    for entry in list.elements()? {
        let [kind, text, summary, signature, data, index, by] =
            entry.pick(["type", "text", "summary", "signature", "data", "index", "format"])?;
        format = format.or(by.map(|by| by.text()).transpose()?);
        let kind = kind.ok_or_else(|| entry.missing("type"))?;
        let name = kind.text()?;
        let index = index.map(|index| index.count()).transpose()?;
        let text = match &*name.decode() {
            "reasoning.text" => text,
            "reasoning.summary" => summary,
            "reasoning.encrypted" => {
                let data = data.ok_or_else(|| entry.missing("data"))?;
                thoughts.redacted(data.text()?);
                continue;
            }
            _ => return Err(kind.unknown(&name, &["reasoning.text", "reasoning.summary", "reasoning.encrypted"])),
        };
        thoughts.add(index, text, signature)?;
    }
    thoughts.close();
    Ok(format)
}

/// `thinking_blocks`, LiteLLM's format: <https://docs.litellm.ai/docs/reasoning_content>
pub(super) fn blocks<'a>(list: &Field<'_, 'a>, parts: &mut Vec<Part<'a>>) -> Result<(), Error> {
    let mut thoughts = Thoughts { parts, open: None };
    for entry in list.elements()? {
        let [kind, thinking, signature, data] = entry.pick(["type", "thinking", "signature", "data"])?;
        let kind = kind.ok_or_else(|| entry.missing("type"))?;
        let name = kind.text()?;
        match &*name.decode() {
            "thinking" => thoughts.add(None, thinking, signature)?,
            "redacted_thinking" => thoughts.redacted(data.ok_or_else(|| entry.missing("data"))?.text()?),
            _ => return Err(kind.unknown(&name, &["thinking", "redacted_thinking"])),
        }
    }
    thoughts.close();
    Ok(())
}

/// A part of `content` that is a thought: Mistral's, which is a list of texts, or Anthropic's, which is one.
/// <https://docs.mistral.ai/capabilities/reasoning>
pub(super) fn part<'a>(thought: &Field<'_, 'a>, signature: Option<Field<'_, 'a>>) -> Result<Part<'a>, Error> {
    let text = match thought.value.kind() {
        Kind::Array => {
            let mut texts = Vec::new();
            for piece in thought.elements()? {
                // References among them are to what the answer was told with.
                let [text] = piece.pick(["text"])?;
                texts.extend(text.map(|text| text.text()).transpose()?);
            }
            Str::join(&texts, &Str::EMPTY)
        }
        _ => thought.text()?,
    };
    let signature = signature.map(|signature| signature.text()).transpose()?;
    Ok(Part::Thinking { text, signature })
}

struct Thoughts<'p, 'a> {
    parts: &'p mut Vec<Part<'a>>,
    open: Option<Open<'a>>,
}

/// A thought of which more may come.
struct Open<'a> {
    index: Option<u64>,
    texts: Vec<Str<'a>>,
    signature: Option<Str<'a>>,
}

impl<'a> Thoughts<'_, 'a> {
    /// Takes an entry: more of the open thought, or a new one. Entries without an index go together up to a signature.
    fn add(
        &mut self,
        index: Option<u64>,
        text: Option<Field<'_, 'a>>,
        signature: Option<Field<'_, 'a>>,
    ) -> Result<(), Error> {
        let text = text.map(|text| text.text()).transpose()?;
        let signature = signature.map(|signature| signature.text()).transpose()?.filter(|text| !text.is_empty());
        if self.open.as_ref().is_some_and(|open| open.index != index || index.is_none() && open.signature.is_some()) {
            self.close();
        }
        let open = self.open.get_or_insert_with(|| Open { index, texts: Vec::new(), signature: None });
        open.texts.extend(text.filter(|text| !text.is_empty()));
        open.signature = open.signature.take().or(signature);
        Ok(())
    }

    fn redacted(&mut self, data: Str<'a>) {
        self.close();
        self.parts.push(Part::RedactedThinking(data));
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let text = match <[Str<'a>; 1]>::try_from(open.texts) {
            Ok([text]) => text,
            Err(texts) => Str::join(&texts, &Str::EMPTY),
        };
        if !text.is_empty() || open.signature.is_some() {
            self.parts.push(Part::Thinking { text, signature: open.signature });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{blocks, details};
    use crate::chat::Part;
    use crate::clients::openai::field::Field;
    use crate::json::Document;

    /// Thoughts as `text|signature`, encrypted ones as `#data`.
    fn check(name: &str, list: &str, expected: Result<&[&str], &str>) {
        let document = Document::parse(list.as_bytes()).unwrap();
        let mut parts = Vec::new();
        let field = Field::top(name, document.root());
        let result = match name {
            "thinking_blocks" => blocks(&field, &mut parts),
            _ => details(&field, &mut parts).map(drop),
        };
        let seen: Vec<String> = parts
            .iter()
            .map(|part| match part {
                Part::Thinking { text, signature: Some(signature) } => {
                    format!("{}|{}", text.escaped(), signature.escaped())
                }
                Part::Thinking { text, signature: None } => format!("{}|", text.escaped()),
                Part::RedactedThinking(data) => format!("#{}", data.escaped()),
                part => panic!("{part:?}"),
            })
            .collect();
        match (result, expected) {
            (Ok(()), Ok(expected)) => assert_eq!(seen, expected, "{list}"),
            (Err(error), Err(param)) => assert_eq!(error.param.as_deref(), Some(param), "{list}"),
            (result, _) => panic!("{result:?} {list}"),
        }
    }

    #[test]
    fn deltas_of_a_thought_are_put_together() {
        let whole = r#"[{"type":"reasoning.text","text":"a\n","signature":"s","format":"f","index":0,"id":null},
            {"type":"reasoning.encrypted","data":"d","index":1},{"type":"reasoning.summary","summary":"b","index":2}]"#;
        check("reasoning_details", whole, Ok(&[r"a\n|s", "#d", "b|"]));
        let deltas = r#"[{"type":"reasoning.text","text":"a","index":0},{"type":"reasoning.text","text":"\"b","index":0},
            {"type":"reasoning.text","signature":"s","index":0},{"type":"reasoning.text","text":"c","index":1},
            {"type":"reasoning.text","text":"","signature":"t","index":1}]"#;
        check("reasoning_details", deltas, Ok(&[r#"a\"b|s"#, "c|t"]));
        let no_index = r#"[{"type":"reasoning.text","text":"a"},{"type":"reasoning.text","text":"b","signature":"s"},
            {"type":"reasoning.text","text":"c","signature":""}]"#;
        check("reasoning_details", no_index, Ok(&["ab|s", "c|"]));
        let only_signed = r#"[{"type":"reasoning.text","text":"","signature":"s","index":0}]"#;
        check("reasoning_details", only_signed, Ok(&["|s"]));
        check("reasoning_details", r#"[{"type":"reasoning.text","text":""}]"#, Ok(&[]));
        let blocks = r#"[{"type":"thinking","thinking":"a","signature":"s"},{"type":"redacted_thinking","data":"d"},
            {"type":"thinking","thinking":"b"},{"type":"thinking","thinking":"","signature":"t"}]"#;
        check("thinking_blocks", blocks, Ok(&["a|s", "#d", "b|t"]));
    }

    #[test]
    fn mistakes_are_named() {
        check("reasoning_details", "{}", Err("reasoning_details"));
        check("reasoning_details", r#"[{"text":"a"}]"#, Err("reasoning_details[0].type"));
        check("reasoning_details", r#"[{"type":"reasoning.dream"}]"#, Err("reasoning_details[0].type"));
        check("reasoning_details", r#"[{"type":"reasoning.text","text":1}]"#, Err("reasoning_details[0].text"));
        check("reasoning_details", r#"[{"type":"reasoning.encrypted"}]"#, Err("reasoning_details[0].data"));
        check("thinking_blocks", r#"[{"type":"thinking"},1]"#, Err("thinking_blocks[1]"));
    }
}
