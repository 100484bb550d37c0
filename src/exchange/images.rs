//! Images in a prompt, for its record. What they cost is among its tokens, by every provider's own count.

use crate::json::{Document, Kind, Value};

/// How many there are in the messages: <https://platform.openai.com/docs/guides/images-vision>
pub(super) fn images(document: &Document<'_>) -> u64 {
    let contents = document.root().get("messages").into_iter().flat_map(Value::elements);
    let contents = contents.filter_map(|message| message.get("content")).filter(|it| it.kind() == Kind::Array);
    contents.flat_map(Value::elements).filter(|part| is_image(*part)).count() as u64
}

fn is_image(part: Value<'_>) -> bool {
    part.get("type").and_then(Value::as_str).is_some_and(|kind| kind == "image_url" || kind == "input_image")
}

#[cfg(test)]
mod tests {
    use super::images;
    use crate::json::Document;

    #[test]
    fn images_are_counted_wherever_they_stand_and_nothing_else_is() {
        for (messages, count) in [
            ("null", 0),
            (r#"[{"role":"user","content":"image_url"},{"role":"assistant","content":null},7,{}]"#, 0),
            (
                r#"[{"content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"https://a.example/b"}},{"type":"input_audio"}]},
                   {"content":[{"type":"input_image","image_url":"data:image/png;base64,AA=="},{"type":"image_url"},{},"image_url",{"type":7}]}]"#,
                3,
            ),
        ] {
            let body = format!(r#"{{"model":"m","messages":{messages}}}"#);
            assert_eq!(images(&Document::parse(body.as_bytes()).unwrap()), count, "{body}");
        }
    }
}
