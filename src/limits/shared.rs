//! Limits that several Envoys share: what a rate limit service is told of a request's accounts.
//!
//! Each Envoy holds to such a limit by its own account too. The service is asked after that, before the request goes out, and
//! told what was used when it is over.

use std::rc::Rc;

use super::place::{Who, is_about, value};
use super::reserve::Amounts;
use crate::chance::{Random, hash};
use crate::config::{Amount, By, Group, Limit, Of, Shared};

/// A request's account at the service with one limit.
#[derive(Debug)]
pub struct Asked {
    /// The limit.
    pub limit: Rc<Limit>,
    /// How the service knows it.
    pub shared: Shared,
    /// The account: what the limit is about and what it is by, as operators find it in Redis.
    pub account: String,
}

/// The most hits that Envoy takes for one request.
const MOST_HITS: u64 = 1_000_000_000;
/// A longer name is told as its hash, in bytes.
const LONGEST: usize = 64;

/// The accounts of `who` at the service.
pub fn asked(groups: &[Rc<Group>], who: Who<'_>) -> Vec<Asked> {
    let about = groups.iter().filter(|group| is_about(&group.scope, who)).flat_map(|group| &group.limits);
    about
        .filter_map(|limit| Some(Asked { limit: limit.clone(), shared: limit.shared?, account: account(limit, who) }))
        .collect()
}

fn account(limit: &Limit, who: Who<'_>) -> String {
    let mut account = match &limit.scope.of {
        Of::All => "all".to_owned(),
        Of::Key(name) => format!("key={}", told(name)),
        Of::Model(name) => format!("model={}", told(name)),
        Of::Role(name) => format!("role={}", told(name)),
        Of::Provider(name) => format!("provider={}", told(name)),
    };
    for by in &limit.scope.by {
        let value = value(by, who).unwrap_or_default();
        let (name, value) = match by {
            // No key's name has this before it.
            By::Key if who.key.is_some_and(|key| key.foreign) => ("key", format!("~{}", told(value))),
            By::Key => ("key", told(value)),
            By::Team => ("team", told(value)),
            By::Label(name) => (name.as_str(), told(value)),
            // Clients make users up, and may name people: the service keeps no names of theirs.
            By::ClientLabel(name) => (name.as_str(), hashed(value)),
            By::User => ("user", hashed(value)),
            By::Model => ("model", told(value)),
            By::Provider => ("provider", told(value)),
            By::Target => ("target", told(value)),
        };
        account.push_str(&format!(" {}={value}", told(name)));
    }
    account
}

/// A name, if it is short and can be mistaken for nothing else.
fn told(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/@*".contains(&byte);
    if name.len() <= LONGEST && name.bytes().all(plain) { name.to_owned() } else { hashed(name) }
}

fn hashed(name: &str) -> String {
    format!("#{:016x}", hash(0, name.as_bytes()))
}

impl Asked {
    /// How many hits `used` is, if it is counted at the end: requests were counted when the service was asked. What is less than
    /// a hit is one by so much chance, so that many small amounts come to what they are together.
    pub fn hits(&self, used: &Amounts, chance: &mut Random) -> Option<u64> {
        if self.limit.amount == Amount::Requests {
            return None;
        }
        let (used, unit) = (used.of(self.limit.amount), self.shared.unit.max(1));
        let rest = u64::from(chance.below(unit) < used % unit);
        Some((used / unit).saturating_add(rest).min(MOST_HITS))
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, asked};
    use crate::chance::Random;
    use crate::config::Config;
    use crate::limits::{Amounts, Who};

    fn ask(limits: serde_json::Value, team: &str, user: Option<&str>) -> Vec<Asked> {
        let file = serde_json::json!({
            "providers": {"a": {"kind": "openai"}},
            "models": {"gpt-4o": {"targets": [{"provider": "a"}], "limits": [{"tokens": 5, "per": "day", "shared": true}]}},
            "keys": [{"name": "k", "sha256": format!("{:064x}", 1), "team": team, "limits": [{"usd": 5, "per": "day", "shared": true}]}],
            "limits": limits, "rate_limit_service": {"url": "http://rates:8081"},
        });
        let config = Config::check(&serde_json::from_value(file).unwrap()).unwrap();
        let key = config.keys.iter().next().unwrap();
        asked(&config.groups, Who { key: Some(key), user, model: "gpt-4o", ..Who::default() })
    }

    #[test]
    fn accounts_are_told_by_name_and_made_up_ones_by_hash() {
        let limits = serde_json::json!([
            {"requests": 5, "per": "day", "shared": true}, {"requests": 5, "per": "day"},
            {"tokens": 9, "per": "day", "by": ["team", "model", "user", "label:app"], "shared": true},
        ]);
        let accounts = |team: &str, user| -> Vec<String> {
            ask(limits.clone(), team, user).into_iter().map(|asked| asked.account).collect()
        };
        let told = accounts("research", Some("jo@example.com\n"));
        assert_eq!(told[0], "all");
        let user = told[1].strip_prefix("all team=research model=gpt-4o user=#").unwrap();
        assert_eq!((user.len(), user.strip_suffix(" app=").map(str::len)), (21, Some(16)), "{told:?}");
        assert_eq!(told[2..], ["key=k", "model=gpt-4o"]);
        // No name is another's by a trick, and none is long.
        assert_ne!(accounts("a", None)[1], accounts("a", Some("x"))[1]);
        let odd = &accounts(&"ü =".repeat(100), Some(&"u".repeat(100_000)))[1];
        assert!(odd.len() < 120 && odd.starts_with("all team=#") && odd.is_ascii(), "{odd}");
    }

    #[test]
    fn hits_come_to_what_was_used() {
        let limits = serde_json::json!([{"tokens": 5_000_000_000_u64, "per": "day", "shared": true}]);
        let asked = ask(limits, "t", None);
        let (tokens, usd) = (&asked[0], &asked[1]);
        let mut chance = Random::new(7);
        let used = Amounts { input: 10, output: 7, usd: 1_500_000 };
        // 17 tokens, ten of them a hit; a millionth and a half of a dollar.
        let sum = |of: &Asked, chance: &mut Random| (0..10_000).map(|_| of.hits(&used, chance).unwrap()).sum::<u64>();
        assert!((16_500..17_500).contains(&sum(tokens, &mut chance)));
        assert!((14_500..15_500).contains(&sum(usd, &mut chance)));
        assert_eq!(tokens.hits(&Amounts { input: 40, ..Amounts::default() }, &mut chance), Some(4));
        assert_eq!(tokens.hits(&Amounts { input: u64::MAX, ..used }, &mut chance), Some(1_000_000_000));
    }
}
