//! `GET /v1/usage`: what a key may use and has used; with the role `admin`, every key of configuration, and every provider.

use std::rc::Rc;

use super::step::Host;
use crate::config::{Amount, By, Config, Key, Limit};
use crate::json::{Write, Writer};
use crate::limits::{self, Account, At, Who};
use crate::price::pico_usd;

/// The answer's body for a client with this key; `None` where everyone may call.
pub(super) fn usage(config: &Config, key: Option<&Key>, host: &dyn Host) -> String {
    let keys: Vec<Option<&Key>> = match key {
        Some(key) if key.role.admin => config.keys.iter().map(Rc::as_ref).map(Some).collect(),
        key => vec![key],
    };
    let sees_all = key.is_none_or(|key| key.role.admin);
    let providers = config.providers.keys().filter(|_| sees_all);
    let providers: Vec<_> = providers.map(|name| (name, of_provider(config, name, host))).collect();
    let mut out = String::new();
    Writer::new(&mut out).object(|w| {
        w.field("object", "list");
        w.name("data").array(|w| {
            for key in keys {
                w.object(|w| {
                    w.field("object", "usage");
                    w.field("key", &key.map(|key| key.name.as_str()));
                    w.field("team", &key.and_then(|key| key.team.as_deref()));
                    w.name("limits").array(|w| {
                        for limit in &config.limits {
                            accounts(config, limit, key, host, w);
                        }
                    });
                });
            }
            for (name, limits) in providers.iter().filter(|(_, limits)| !limits.is_empty()) {
                w.object(|w| {
                    w.field("object", "usage");
                    w.field("provider", *name);
                    w.name("limits")
                        .array(|w| limits.iter().for_each(|(limit, account)| account_of(limit, None, *account, w)));
                });
            }
        });
    });
    out
}

/// A provider's accounts with limits that tell nothing else apart.
fn of_provider<'a>(config: &'a Config, provider: &str, host: &dyn Host) -> Vec<(&'a Limit, Account)> {
    let at = Some(At { provider, target: "" });
    let limits = config.limits.iter().filter(|limit| limit.scope.by.iter().all(|by| *by == By::Provider));
    let looked = limits.filter_map(|limit| {
        let account = limits::look(limit, Who { at, ..Who::default() }, host.now(), host)?;
        Some((limit.as_ref(), account))
    });
    looked.collect()
}

/// The key's accounts with a limit: one, or one for each model. What is by clients' own words has too many.
fn accounts(config: &Config, limit: &Limit, key: Option<&Key>, host: &dyn Host, w: &mut Writer<'_>) {
    if limit.scope.is_by_clients() {
        return;
    }
    let by_model = limit.scope.by.contains(&By::Model);
    let models = config.models.iter().map(|(name, _)| name);
    for model in models.filter(|model| key.is_none_or(|key| key.may_ask(model))) {
        let who = Who { key, model, ..Who::default() };
        if let Some(account) = limits::look(limit, who, host.now(), host) {
            account_of(limit, by_model.then_some(model), account, w);
            if !by_model {
                return;
            }
        }
    }
}

fn account_of(limit: &Limit, model: Option<&str>, account: Account, w: &mut Writer<'_>) {
    let Account { used, held, reset, .. } = account;
    let amount = |amount| Counted { amount, usd: limit.amount == Amount::Usd };
    w.object(|w| {
        w.field("limit", &limit.name);
        if let Some(model) = model {
            w.field("model", model);
        }
        for (name, value) in [("most", limit.most), ("used", used), ("held", held)] {
            w.field(name, &amount(value));
        }
        w.field("remaining", &amount(limit.most.saturating_sub(used.saturating_add(held))));
        w.field("resets_in_ms", &reset);
        w.field("soft", &limit.soft);
        // Of those that several Envoys share, all that this one knows is what it has used itself.
        w.field("shared", &limit.shared.is_some());
    });
}

/// A number: of whatever it is, or USD.
pub(super) struct Counted {
    pub amount: u64,
    /// Whether it is in 10⁻¹² USD.
    pub usd: bool,
}

impl Write for Counted {
    fn write(&self, out: &mut String) {
        match self.usd {
            true => out.push_str(pico_usd(self.amount).as_str()),
            false => self.amount.write(out),
        }
    }
}
