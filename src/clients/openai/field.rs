//! A value of a request together with its place, so that an error can name it as OpenAI does: `messages[0].content`.
//! Places are chained on the stack and only written out for an error.

use core::fmt;

use crate::error::Error;
use crate::json::{Kind, Str, Value};

/// A value and its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'p, 'a> {
    /// The value.
    pub value: Value<'a>,
    place: Place<'p>,
}

#[derive(Debug, Clone, Copy)]
struct Place<'p> {
    up: Option<&'p Place<'p>>,
    step: Step<'p>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'p> {
    Member(&'p str),
    Element(usize),
}

impl<'p, 'a> Field<'p, 'a> {
    /// The member `name` of the request itself.
    pub fn top(name: &'p str, value: Value<'a>) -> Self {
        Self { value, place: Place { up: None, step: Step::Member(name) } }
    }

    /// The members of an object that have these names and are not null, in one pass. `other` takes the rest.
    pub fn members<'f, const N: usize>(
        &'f self,
        names: [&'static str; N],
        mut other: impl FnMut(&str),
    ) -> Result<[Option<Field<'f, 'a>>; N], Error> {
        self.expect(Kind::Object, "an object")?;
        let mut found = [None; N];
        for (name, value) in self.value.members().filter(|(_, value)| !value.is_null()) {
            let name = name.decode();
            match names.iter().zip(&mut found).find(|(wanted, _)| ***wanted == *name) {
                Some((name, slot)) => *slot = slot.or(Some(self.member(name, value))),
                None => other(&name),
            }
        }
        Ok(found)
    }

    /// [`Self::members`] where others do not matter.
    pub fn pick<'f, const N: usize>(&'f self, names: [&'static str; N]) -> Result<[Option<Field<'f, 'a>>; N], Error> {
        self.members(names, |_| ())
    }

    /// The elements of an array.
    pub fn elements<'f>(&'f self) -> Result<impl Iterator<Item = Field<'f, 'a>>, Error> {
        self.expect(Kind::Array, "an array")?;
        let up = Some(&self.place);
        let field = move |(index, value)| Field { value, place: Place { up, step: Step::Element(index) } };
        Ok(self.value.elements().enumerate().map(field))
    }

    /// The text of a string.
    pub fn text(&self) -> Result<Str<'a>, Error> {
        self.value.as_str().ok_or_else(|| self.wrong_type("a string"))
    }

    /// The truth of a bool.
    pub fn truth(&self) -> Result<bool, Error> {
        self.value.as_bool().ok_or_else(|| self.wrong_type("a boolean"))
    }

    /// A whole number that is not negative.
    pub fn count(&self) -> Result<u64, Error> {
        self.value.as_u64().ok_or_else(|| match self.value.as_number() {
            Some(number) => self.invalid(&format!("expected a non-negative integer, but got {number} instead")),
            None => self.wrong_type("an integer"),
        })
    }

    /// A number, as it is written.
    pub fn number(&self) -> Result<Value<'a>, Error> {
        self.expect(Kind::Number, "a decimal").map(|()| self.value)
    }

    /// An object, unread.
    pub fn object(&self) -> Result<Value<'a>, Error> {
        self.expect(Kind::Object, "an object").map(|()| self.value)
    }

    /// The member `name`, for which there is no value.
    pub fn missing(&self, name: &'static str) -> Error {
        let param = self.member(name, self.value).place;
        coded(format!("Missing required parameter: '{param}'."), param, "missing_required_parameter")
    }

    /// The value is of another type than `expected`.
    pub fn wrong_type(&self, expected: &str) -> Error {
        let got = match self.value.kind() {
            Kind::Null => "null",
            Kind::Bool => "a boolean",
            Kind::Number if self.value.raw().contains(['.', 'e', 'E']) => "a decimal",
            Kind::Number => "an integer",
            Kind::String => "a string",
            Kind::Array => "an array",
            Kind::Object => "an object",
        };
        let place = self.place;
        let message = format!("Invalid type for '{place}': expected {expected}, but got {got} instead.");
        coded(message, place, "invalid_type")
    }

    /// The value is of the right type and still wrong, for `reason`.
    pub fn invalid(&self, reason: &str) -> Error {
        let place = self.place;
        coded(format!("Invalid '{place}': {reason}."), place, "invalid_value")
    }

    /// The value is a word that nobody knows here.
    pub fn unknown(&self, word: &Str<'_>, known: &[&str]) -> Error {
        let word: String = word.decode().chars().take(64).collect();
        let known = known.join("', '");
        let message = format!("Invalid value: '{word}'. Supported values are: '{known}'.");
        coded(message, self.place, "invalid_value")
    }

    fn expect(&self, kind: Kind, expected: &str) -> Result<(), Error> {
        if self.value.kind() == kind { Ok(()) } else { Err(self.wrong_type(expected)) }
    }

    fn member<'f>(&'f self, name: &'f str, value: Value<'a>) -> Field<'f, 'a> {
        Field { value, place: Place { up: Some(&self.place), step: Step::Member(name) } }
    }
}

impl fmt::Display for Place<'_> {
    // Places nest as deep as the functions that read them, not as deep as the document.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(up) = self.up {
            up.fmt(f)?;
        }
        match self.step {
            Step::Member(name) if self.up.is_some() => write!(f, ".{name}"),
            Step::Member(name) => f.write_str(name),
            Step::Element(index) => write!(f, "[{index}]"),
        }
    }
}

/// A mistake in the request that OpenAI has the word `code` for.
pub(super) fn coded(message: String, param: impl fmt::Display, code: &str) -> Error {
    Error { code: Some(code.to_owned()), ..Error::bad_request(message, param.to_string()) }
}
