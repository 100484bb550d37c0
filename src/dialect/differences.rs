//! What a provider that speaks OpenAI's dialect wants otherwise than OpenAI: data, which the splice goes by.

/// How a provider's dialect differs from OpenAI's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Differences {
    /// Parameters that it refuses, or takes and ignores: they are dropped, and named to the client.
    pub refuses: &'static [&'static str],
    /// Parameters that it calls otherwise: OpenAI's name and its own.
    pub renames: &'static [(&'static str, &'static str)],
    /// Members of messages that it refuses.
    pub message_refuses: &'static [&'static str],
    /// Whether it knows the role `developer`; to others that is `system`.
    pub knows_developer: bool,
}

impl Differences {
    /// There are none.
    pub const NONE: Self = Self { refuses: &[], renames: &[], message_refuses: &[], knows_developer: true };

    /// Whether some parameters are not as they are with OpenAI.
    pub fn in_parameters(&self) -> bool {
        !self.refuses.is_empty() || !self.renames.is_empty()
    }

    /// Whether there is none that matters to a request without calls.
    pub fn are_none(&self) -> bool {
        !self.in_parameters() && !self.in_messages()
    }

    /// Whether messages are not as they are with OpenAI, ids of calls apart.
    pub fn in_messages(&self) -> bool {
        !self.message_refuses.is_empty() || !self.knows_developer
    }
}
