//! The list of models.

use crate::json::Writer;

/// The list of models with these names.
pub fn models<'a>(names: impl Iterator<Item = &'a str>, created: u64) -> String {
    let mut out = String::new();
    Writer::new(&mut out).object(|w| {
        w.field("object", "list");
        w.name("data").array(|w| names.for_each(|name| write(w, name, created)));
    });
    out
}

/// The model `name`.
pub fn model(name: &str, created: u64) -> String {
    let mut out = String::new();
    write(&mut Writer::new(&mut out), name, created);
    out
}

fn write(w: &mut Writer<'_>, name: &str, created: u64) {
    w.object(|w| {
        w.field("id", name);
        w.field("object", "model");
        w.field("created", &created);
        w.field("owned_by", "model-gateway");
    });
}

#[cfg(test)]
mod tests {
    #[test]
    fn models_are_listed() {
        let one = r#"{"id":"a\"b","object":"model","created":7,"owned_by":"model-gateway"}"#;
        let two = one.replace(r#"a\"b"#, "c");
        assert_eq!(super::model("a\"b", 7), one);
        let list = format!(r#"{{"object":"list","data":[{one},{two}]}}"#);
        assert_eq!(super::models(["a\"b", "c"].into_iter(), 7), list);
    }
}
