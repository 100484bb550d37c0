//! Certificates of clients: which are good, and what their holders are called. Checked, and matched.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::auth::Certificates;
use super::checked::Check;
use super::roles::Role;

/// TLS for clients.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TlsFile {
    /// The absolute path of the certificate, in PEM, with those that vouch for it behind it. Read again when another is moved
    /// into its place, as is the key.
    pub cert: String,
    /// The absolute path of its key.
    pub key: String,
    /// The absolute path of who vouches for clients: their certificates are asked for, and verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<String>,
    /// Whether a client without a certificate is refused. Default false: a key or a token is as good.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub require: bool,
}

/// Certificates that are good. One of `uri`, `dns` and `subject`; in it `{name}` is what the holder is called, `{team}` and
/// `{label:NAME}` are more of what is known of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MtlsFile {
    /// The first URI among the alternative names: `spiffe://acme.org/ns/{team}/sa/{name}`. A `{...}` has no `/` in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The first DNS name among them: `{name}.clients.acme.org`. A `{...}` has no `.` in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<String>,
    /// The subject, by those of its attributes that matter, in any order: `CN={name},OU={team},O=Acme`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The role of their holders. Default `user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// What of a certificate is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The first URI among the alternative names.
    Uri,
    /// The first DNS name among them.
    Dns,
    /// The subject, as RFC 2253 writes it.
    Subject,
}

/// What has to stand in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// A text that nothing in `separator` is part of its values.
    Text {
        /// From its beginning to its end.
        pieces: Vec<Piece>,
        /// What values do not have in them.
        separator: char,
    },
    /// Attributes of a subject, each with a text or a value.
    Attributes(Vec<(String, Piece)>),
}

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Stands for itself.
    Text(String),
    /// The holder's name.
    Name,
    /// Its team.
    Team,
    /// Its label of this name.
    Label(String),
}

/// What a certificate says of its holder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holder {
    /// What it is called.
    pub name: String,
    /// Whose it is.
    pub team: Option<String>,
    /// Whatever else is told apart.
    pub labels: BTreeMap<String, String>,
}

impl Pattern {
    /// Reads a pattern of what stands at `place`; `None`: it is none, or has no name in it.
    fn parse(place: Place, text: &str) -> Option<Self> {
        let pattern = match place {
            Place::Subject => {
                let attributes = text.split(',').map(|attribute| {
                    let (attribute, value) = attribute.split_once('=')?;
                    let [piece] = <[Piece; 1]>::try_from(pieces(value.trim())?).ok()?;
                    Some((attribute.trim().to_owned(), piece))
                });
                Self::Attributes(attributes.collect::<Option<_>>()?)
            }
            place => Self::Text { pieces: pieces(text)?, separator: if place == Place::Uri { '/' } else { '.' } },
        };
        let names = |piece: &&Piece| **piece == Piece::Name;
        let count = match &pattern {
            Self::Text { pieces, .. } => pieces.iter().filter(names).count(),
            Self::Attributes(attributes) => attributes.iter().map(|(_, piece)| piece).filter(names).count(),
        };
        (count == 1).then_some(pattern)
    }

    /// The names of the labels that it has.
    pub fn labels(&self) -> impl Iterator<Item = &String> {
        let (pieces, attributes): (&[Piece], &[(String, Piece)]) = match self {
            Self::Text { pieces, .. } => (pieces, &[]),
            Self::Attributes(attributes) => (&[], attributes),
        };
        pieces.iter().chain(attributes.iter().map(|(_, piece)| piece)).filter_map(|piece| match piece {
            Piece::Label(name) => Some(name),
            Piece::Text(_) | Piece::Name | Piece::Team => None,
        })
    }

    /// Who holds a certificate in which this stands; `None`: it is not as the pattern says.
    pub fn holder(&self, text: &str) -> Option<Holder> {
        let mut holder = Holder::default();
        match self {
            Self::Text { pieces, separator } => {
                let mut rest = text;
                let mut pieces = pieces.iter().peekable();
                while let Some(piece) = pieces.next() {
                    if let Piece::Text(text) = piece {
                        rest = rest.strip_prefix(text.as_str())?;
                        continue;
                    }
                    let end = match pieces.peek() {
                        Some(Piece::Text(text)) => rest.find(text.as_str())?,
                        _ => rest.len(),
                    };
                    let (value, after) = rest.split_at_checked(end)?;
                    if value.contains(*separator) {
                        return None;
                    }
                    holder.take(piece, value.to_owned())?;
                    rest = after;
                }
                rest.is_empty().then_some(holder)
            }
            Self::Attributes(attributes) => {
                let known = subject(text)?;
                for (attribute, piece) in attributes {
                    // Where an attribute stands twice it does not say which counts.
                    let mut values = known.iter().filter(|(name, _)| name.eq_ignore_ascii_case(attribute));
                    let (Some((_, value)), None) = (values.next(), values.next()) else { return None };
                    holder.take(piece, value.clone())?;
                }
                Some(holder)
            }
        }
    }
}

impl Holder {
    fn take(&mut self, piece: &Piece, value: String) -> Option<()> {
        if value.is_empty() {
            return None;
        }
        match piece {
            Piece::Text(text) => return (*text == value).then_some(()),
            Piece::Name => self.name = value,
            Piece::Team => self.team = Some(value),
            Piece::Label(label) => drop(self.labels.insert(label.clone(), value)),
        }
        Some(())
    }
}

/// Texts and values in turn: two values side by side would not say where the one ends.
fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (before, after) = rest.split_once('{').unwrap_or((rest, ""));
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        } else if pieces.last().is_some_and(|last| !matches!(last, Piece::Text(_))) {
            return None;
        }
        if rest.len() == before.len() {
            break;
        }
        let (value, after) = after.split_once('}')?;
        pieces.push(match (value, value.strip_prefix("label:")) {
            ("name", _) => Piece::Name,
            ("team", _) => Piece::Team,
            (_, Some(label)) if !label.is_empty() => Piece::Label(label.to_owned()),
            _ => return None,
        });
        rest = after;
    }
    Some(pieces)
}

/// The attributes of a distinguished name, as RFC 2253 writes it (section 2.4): `CN=a\, b,OU=c`. `None` for what Envoy never
/// writes and for bytes in hex, which nobody who means well needs.
fn subject(text: &str) -> Option<Vec<(String, String)>> {
    let (mut attributes, mut name, mut value) = (Vec::new(), String::new(), None::<String>);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, &mut value) {
            ('=', None) => value = Some(String::new()),
            (character, None) => name.push(character),
            ('\\', Some(value)) => value.push(characters.next().filter(|next| !next.is_ascii_alphanumeric())?),
            // A set of several attributes is as good as all of them.
            (',' | '+', Some(_)) => attributes.push((core::mem::take(&mut name), value.take()?)),
            (character, Some(value)) => value.push(character),
        }
    }
    attributes.push((name, value?));
    Some(attributes)
}

impl Check<'_> {
    pub(super) fn tls(&mut self) {
        let Some(tls) = &self.file.tls else {
            if !self.file.auth.mtls.is_empty() {
                self.mistake(
                    "auth.mtls",
                    "nobody asks for certificates: write `tls: { cert: ..., key: ..., client_ca: ... }`",
                );
            }
            return;
        };
        let files = [("cert", Some(&tls.cert)), ("key", Some(&tls.key)), ("client_ca", tls.client_ca.as_ref())];
        for (name, path) in files {
            if path.is_some_and(|path| !path.starts_with('/') || path.ends_with('/')) {
                self.mistake(format!("tls.{name}"), "expected the absolute path of a file in PEM: `/etc/tls/cert.pem`");
            }
        }
        if tls.client_ca.is_none() && (tls.require || !self.file.auth.mtls.is_empty()) {
            self.mistake("tls.client_ca", "missing. The absolute path of who vouches for the certificates of clients");
        }
    }

    pub(super) fn certificates(
        &mut self,
        index: usize,
        file: &MtlsFile,
        roles: &BTreeMap<String, Rc<Role>>,
    ) -> Option<Certificates> {
        let path = format!("auth.mtls[{index}]");
        let role = self.role(&path, file.role.as_deref(), roles);
        let given = [
            ("uri", Place::Uri, &file.uri),
            ("dns", Place::Dns, &file.dns),
            ("subject", Place::Subject, &file.subject),
        ];
        let mut given = given.into_iter().filter_map(|(name, place, text)| Some((name, place, text.as_ref()?)));
        let (Some((name, place, text)), None) = (given.next(), given.next()) else {
            self.mistake(path, "expected one of `uri`, `dns` and `subject`");
            return None;
        };
        let pattern = Pattern::parse(place, text);
        if pattern.is_none() {
            let message = match place {
                Place::Uri => {
                    "expected one `{name}`, and text between it and any other: `spiffe://acme.org/ns/{team}/sa/{name}`"
                }
                Place::Dns => "expected one `{name}`, and text between it and any other: `{name}.clients.acme.org`",
                Place::Subject => "expected attributes, one of them the `{name}`: `CN={name},OU={team},O=Acme`",
            };
            self.mistake(format!("{path}.{name}"), message);
        }
        let pattern = pattern?;
        for label in pattern.labels() {
            self.label(format!("{path}.{name}"), label);
        }
        Some(Certificates { place, pattern, role: role? })
    }
}

#[cfg(test)]
mod tests {
    use super::{Holder, Pattern, Place, subject};

    fn told(place: Place, pattern: &str, text: &str) -> Option<String> {
        let Holder { name, team, labels } = Pattern::parse(place, pattern)?.holder(text)?;
        let labels = labels.iter().map(|(label, value)| format!(" {label}={value}"));
        Some(format!("{name} {}", team.unwrap_or_default()) + &labels.collect::<String>())
    }

    #[test]
    fn certificates_say_who_holds_them() {
        let spiffe = "spiffe://acme.org/ns/{team}/sa/{name}";
        let subject = "CN={name},OU={team},O=Acme";
        for (place, pattern, text, expected) in [
            (Place::Uri, spiffe, "spiffe://acme.org/ns/search/sa/web", Some("web search")),
            (Place::Uri, spiffe, "spiffe://acme.org/ns/search/sa/web/more", None),
            (Place::Uri, spiffe, "spiffe://acme.org/ns/a/b/sa/web", None),
            (Place::Uri, spiffe, "spiffe://evil.org/ns/search/sa/web", None),
            (Place::Uri, spiffe, "spiffe://acme.org/ns//sa/web", None),
            (Place::Uri, spiffe, "spiffe://acme.org/ns/search/sa/", None),
            (Place::Dns, "{name}.{label:zone}.acme.org", "web.eu.acme.org", Some("web  zone=eu")),
            (Place::Dns, "{name}.acme.org", "web.eu.acme.org", None),
            (Place::Dns, "{name}.acme.org", "web.acme.org.evil.org", None),
            (Place::Subject, subject, "O=Acme,CN=web,OU=search,C=DE", Some("web search")),
            (Place::Subject, subject, r"CN=web\,O=Acme,OU=search", None),
            (Place::Subject, subject, "CN=web,OU=search,O=Acme\\, Evil", None),
            (Place::Subject, subject, "CN=web,OU=search,OU=other,O=Acme", None),
            (Place::Subject, "CN={name}", r"CN=web\, one+OU=x", Some("web, one ")),
            (Place::Subject, "CN={name}", "OU=x", None),
        ] {
            assert_eq!(told(place, pattern, text).as_deref(), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn patterns_have_one_name() {
        for (place, pattern) in [
            (Place::Uri, "spiffe://acme.org/{team}"),
            (Place::Uri, "{name}{team}"),
            (Place::Uri, "{name}/{name}"),
            (Place::Uri, "{nam}"),
            (Place::Uri, "{name"),
            (Place::Dns, ""),
            (Place::Subject, "{name}"),
            (Place::Subject, "CN=a{name}"),
        ] {
            assert_eq!(Pattern::parse(place, pattern), None, "{pattern}");
        }
    }

    #[test]
    fn subjects_are_read() {
        for text in ["", "CN", r"CN=a\41", "CN=a,"] {
            assert_eq!(subject(text), None, "{text}");
        }
    }
}
