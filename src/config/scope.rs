//! What limits are about, and what they tell apart. Those that are alike in it are kept together.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::limits::Limit;
use crate::chance::hash;

/// What a limit stands under, and what has an account of its own with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// By what its records are known, whatever limits have it.
    pub id: u64,
    /// What has an account of its own.
    pub by: Vec<By>,
    /// What it stands under.
    pub of: Of,
    /// Whether there may be any number of accounts: names of whom tokens and certificates name, and what requests make up.
    pub unbounded: bool,
}

/// Limits of one scope: what somebody has with all of them is one record.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    /// Theirs.
    pub scope: Rc<Scope>,
    /// As configuration has them.
    pub limits: Vec<Rc<Limit>>,
}

/// What a limit stands under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    /// The top: it is about every request.
    All,
    /// The key with this name.
    Key(String),
    /// The model with this name.
    Model(String),
    /// The role with this name.
    Role(String),
    /// The provider with this name.
    Provider(String),
}

/// What has an account of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// The client's key.
    Key,
    /// Its team.
    Team,
    /// One of its labels.
    Label(String),
    /// A label that the client may give the request itself, where its key does not.
    ClientLabel(String),
    /// The request's `user`.
    User,
    /// The model that is asked for.
    Model,
    /// The provider that is asked.
    Provider,
    /// One model of a provider.
    Target,
}

impl Scope {
    /// `names_are_many`: clients are named by others than configuration too.
    pub(super) fn new(by: Vec<By>, of: Of, names_are_many: bool) -> Self {
        let named = |by: &By| matches!(by, By::Key | By::Team | By::Label(_));
        let unbounded = by.iter().any(By::is_made_up) || by.iter().any(named) && names_are_many;
        Self { id: hash(0, format!("{by:?} {of:?} {unbounded}").as_bytes()), by, of, unbounded }
    }

    /// Whether it tells apart what clients make up.
    pub fn is_by_clients(&self) -> bool {
        self.by.iter().any(By::is_made_up)
    }

    /// Whether it is about where requests go, rather than whose they are.
    pub fn is_of_targets(&self) -> bool {
        matches!(self.of, Of::Provider(_)) || self.by.iter().any(|by| matches!(by, By::Provider | By::Target))
    }
}

impl By {
    const fn is_made_up(&self) -> bool {
        matches!(self, Self::User | Self::ClientLabel(_))
    }
}

impl Group {
    /// All of `limits`, in the order in which each scope is first there.
    pub fn all(limits: &[Rc<Limit>]) -> Vec<Rc<Self>> {
        let mut groups: Vec<Self> = Vec::new();
        let mut places = BTreeMap::new();
        for limit in limits {
            let place = *places.entry(limit.scope.id).or_insert(groups.len());
            match groups.get_mut(place) {
                Some(group) => group.limits.push(limit.clone()),
                None => groups.push(Self { scope: limit.scope.clone(), limits: vec![limit.clone()] }),
            }
        }
        groups.into_iter().map(Rc::new).collect()
    }
}
