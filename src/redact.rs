//! What is taken out of a JSON text before it is logged: members, and what patterns find in its strings.

use std::borrow::Cow;

use regex_lite::{NoExpand, Regex, RegexBuilder};

use crate::json::{Document, Kind, Value, Write};

/// Rules for what is taken out. Members that have credentials are, whatever the rules are.
#[derive(Debug, Clone, Default)]
pub struct Redact {
    members: Vec<Member>,
    patterns: Vec<Pattern>,
}

/// Members with one name, or at one path.
#[derive(Debug, Clone)]
struct Member {
    /// One: anywhere; several: from the root on.
    names: Vec<String>,
    with: String,
}

/// What a regular expression finds.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
    with: String,
}

/// What stands in place of what was taken out.
const REDACTED: &str = "[redacted]";
/// Members that have credentials: clients of other gateways send keys so, and tools of OpenAI's kind `mcp` have tokens.
const SECRET: &[&str] = &["api_key", "authorization", "x-api-key", "api-key"];
/// The largest that a regular expression may become, in bytes.
const MAX_REGEX: usize = 1 << 18;
/// How far patterns look past the end of what is kept, so that nothing is seen half that is taken out whole, in bytes.
const AHEAD: usize = 1024;

impl Pattern {
    /// The pattern that is this regular expression, with what stands in its place.
    ///
    /// # Errors
    /// Why it is none.
    pub fn new(regex: &str, with: Option<&str>) -> Result<Self, String> {
        let regex = RegexBuilder::new(regex).size_limit(MAX_REGEX).build();
        let regex = regex.map_err(|error| format!("not a regular expression: {error}"))?;
        if regex.is_match("") {
            return Err("it finds what is empty, and so is everywhere".to_owned());
        }
        Ok(Self { regex, with: with.unwrap_or(REDACTED).to_owned() })
    }
}

impl Redact {
    /// Takes out a member, by its name, or by a path with dots.
    pub fn member(&mut self, path: &str, with: Option<&str>) {
        let names = path.split('.').map(str::to_owned).collect();
        self.members.push(Member { names, with: with.unwrap_or(REDACTED).to_owned() });
    }

    /// Takes out what this pattern finds.
    pub fn pattern(&mut self, pattern: Pattern) {
        self.patterns.push(pattern);
    }

    /// What is left of `text`, cut after about `most` bytes. Of what is no JSON only the size is told: who knows what is in it.
    pub fn apply(&self, text: &[u8], most: usize) -> String {
        let Ok(document) = Document::parse(text) else {
            return format!("[{} bytes that are no JSON]", text.len());
        };
        let mut out = String::with_capacity(text.len().min(most) + 64);
        let whole = Walk { redact: self, most, path: Vec::new() }.value(document.root(), &mut out);
        if !whole {
            out.truncate(boundary(&out, most));
            out.push_str(&format!(" [cut: {} bytes in all]", text.len()));
        }
        out
    }

    fn instead(&self, path: &[String]) -> Option<&str> {
        let name = path.last()?;
        if SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret)) {
            return Some(REDACTED);
        }
        let is_at = |member: &&Member| match &member.names[..] {
            [one] => one == name,
            names => {
                names.len() == path.len() && names.iter().zip(path).all(|(want, name)| want == "*" || want == name)
            }
        };
        self.members.iter().find(is_at).map(|member| member.with.as_str())
    }

    /// `text` without what patterns find.
    fn clean<'t>(&self, text: Cow<'t, str>) -> Cow<'t, str> {
        self.patterns.iter().fold(text, |text, pattern| {
            let cleaned = match pattern.regex.replace_all(&text, NoExpand(&pattern.with)) {
                Cow::Borrowed(_) => None,
                Cow::Owned(cleaned) => Some(cleaned),
            };
            cleaned.map_or(text, Cow::Owned)
        })
    }
}

/// A way through a document.
struct Walk<'r> {
    redact: &'r Redact,
    most: usize,
    /// The names of the members that it is in.
    path: Vec<String>,
}

impl Walk<'_> {
    /// Appends what is left of `value`; `false` if there is no room for more.
    fn value(&mut self, value: Value<'_>, out: &mut String) -> bool {
        let room = self.most.saturating_sub(out.len());
        if room == 0 {
            return false;
        }
        match value.kind() {
            Kind::Object => {
                let mut whole = true;
                out.push('{');
                for (number, (name, value)) in value.members().enumerate() {
                    if number > 0 {
                        out.push(',');
                    }
                    let name = name.decode().into_owned();
                    name.write(out);
                    out.push(':');
                    self.path.push(name);
                    whole = match self.redact.instead(&self.path) {
                        Some(with) if !value.is_null() => {
                            with.write(out);
                            true
                        }
                        _ => self.value(value, out),
                    };
                    self.path.pop();
                    if !whole {
                        break;
                    }
                }
                out.push('}');
                whole
            }
            Kind::Array => {
                out.push('[');
                let mut whole = true;
                for (number, value) in value.elements().enumerate() {
                    if number > 0 {
                        out.push(',');
                    }
                    whole = self.value(value, out);
                    if !whole {
                        break;
                    }
                }
                out.push(']');
                whole
            }
            Kind::String => self.text(value, room, out),
            Kind::Null | Kind::Bool | Kind::Number => {
                out.push_str(value.raw());
                out.len() <= self.most
            }
        }
    }

    fn text(&mut self, value: Value<'_>, room: usize, out: &mut String) -> bool {
        let text = value.as_str().map(|text| text.decode().into_owned()).unwrap_or_default();
        // A tool's arguments are JSON in a string.
        if self.path.last().is_some_and(|name| name == "arguments")
            && let Ok(document) = Document::parse(text.as_bytes())
            && document.root().kind() == Kind::Object
        {
            let mut inner = String::new();
            let whole = Walk { redact: self.redact, most: room, path: Vec::new() }.value(document.root(), &mut inner);
            inner.write(out);
            return whole && out.len() <= self.most;
        }
        let seen = text.get(..boundary(&text, room + AHEAD)).unwrap_or_default();
        let cleaned = self.redact.clean(Cow::Borrowed(seen));
        let kept = cleaned.get(..boundary(&cleaned, room)).unwrap_or_default();
        kept.write(out);
        seen.len() == text.len() && kept.len() == cleaned.len() && out.len() <= self.most
    }
}

/// The last boundary of characters in `text` up to `most` bytes.
fn boundary(text: &str, most: usize) -> usize {
    let most = most.min(text.len());
    (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Pattern, Redact};

    fn redact(members: &[&str], patterns: &[(&str, &str)]) -> Redact {
        let mut redact = Redact::default();
        members.iter().for_each(|member| redact.member(member, None));
        patterns.iter().for_each(|(regex, with)| redact.pattern(Pattern::new(regex, Some(with)).unwrap()));
        redact
    }

    fn apply(redact: &Redact, text: &str) -> String {
        redact.apply(text.as_bytes(), 1 << 20)
    }

    #[test]
    fn members_go_by_name_or_by_path() {
        let rules = redact(&["user", "messages.content", "metadata.*"], &[]);
        let text = r#"{"user":"u","n":1.50,"messages":[{"role":"user","content":"a"},{"content":[{"text":"b"}],"name":null}],
            "metadata":{"a":"b"},"tool":{"content":"stays","deep":{"user":{"id":7}}},"prediction":{"messages":{"content":"stays"}}}"#;
        let expected = r#"{"user":"[redacted]","n":1.50,"messages":[{"role":"user","content":"[redacted]"},{"content":"[redacted]","name":null}],"metadata":{"a":"[redacted]"},"tool":{"content":"stays","deep":{"user":"[redacted]"}},"prediction":{"messages":{"content":"stays"}}}"#;
        assert_eq!(apply(&rules, text), expected);
        assert_eq!(apply(&redact(&["user"], &[]), r#"{"us\u0065r":"u"}"#), r#"{"user":"[redacted]"}"#);
    }

    #[test]
    fn patterns_go_through_every_text() {
        let rules = redact(&[], &[(r"\b\d{4}(?:[ -]?\d{4}){3}\b", "[card]"), (r"[\w.]+@[\w.]+", "[$0]")]);
        let text = r#"{"a":["pay 4111 1111 1111 1111, \u0061nn@example.com",{"b":"4111111111111111\n"}],"c":4111111111111111}"#;
        assert_eq!(apply(&rules, text), r#"{"a":["pay [card], [$0]",{"b":"[card]\n"}],"c":4111111111111111}"#);
    }

    #[test]
    fn credentials_go_whatever_the_rules_are() {
        let text = r#"{"api_key":"sk-1","tools":[{"type":"mcp","headers":{"Authorization":"Bearer x"}}]}"#;
        let expected = r#"{"api_key":"[redacted]","tools":[{"type":"mcp","headers":{"Authorization":"[redacted]"}}]}"#;
        assert_eq!(apply(&Redact::default(), text), expected);
    }

    #[test]
    fn arguments_of_tools_are_looked_into() {
        let rules = redact(&["ssn"], &[("secret", "-")]);
        let text = r#"{"function":{"arguments":"{\"ssn\": 1, \"q\":\"secret\"}"},"arguments":"no JSON, secret"}"#;
        let expected = r#"{"function":{"arguments":"{\"ssn\":\"[redacted]\",\"q\":\"-\"}"},"arguments":"no JSON, -"}"#;
        assert_eq!(apply(&rules, text), expected);
    }

    #[test]
    fn what_is_cut_is_never_seen_half() {
        let rules = redact(&[], &[(r"\d{16}", "[card]")]);
        let text = r#"{"a":"card 4111111111111111 is mine"}"#;
        for most in 1..text.len() + 30 {
            let kept = rules.apply(text.as_bytes(), most);
            assert!(!kept.contains("4111"), "{most}: {kept}");
            assert!(kept.len() <= most + 40, "{most}: {kept}");
            assert_eq!(kept.contains("[cut: "), !kept.ends_with("mine\"}"), "{most}: {kept}");
        }
        assert_eq!(rules.apply(b"{\"a\":", 100), "[5 bytes that are no JSON]");
        let letters = r#"{"a":"ööööööööööööööööö"}"#;
        (1..letters.len() - 1).for_each(|most| assert!(rules.apply(letters.as_bytes(), most).contains("[cut: ")));
    }

    #[test]
    fn patterns_that_are_none_are_refused() {
        for bad in ["(", "a*", "", "[a-"] {
            assert!(Pattern::new(bad, None).is_err(), "{bad}");
        }
    }
}
