//! `status.json` below the page's path: what went through within the last hour, how targets are, how full limits are.

use std::collections::BTreeSet;

use super::step::Host;
use super::usage::Counted;
use crate::config::{Amount, By, Config, Key, Limit, Of, Target};
use crate::error::{Cause, Fault};
use crate::json::Writer;
use crate::limits::{self, Account, At, Who};
use crate::live::{Counts, Histogram, MINUTE, Minute, Rows, Totals, Used, by_name, hour};
use crate::route::{Health, Keys, Standing, key, read};

/// All of it, as JSON.
pub(super) fn status(config: &Config, host: &dyn Host) -> String {
    let now = host.now();
    let minutes = hour(host, now);
    let mut out = String::new();
    Writer::new(&mut out).object(|w| {
        w.field("object", "status");
        w.field("now", &now);
        w.name("minutes").array(|w| minutes.iter().for_each(|minute| w.object(|w| of_minute(minute, w))));
        w.name("hour").object(|w| of_hour(&minutes, w));
        w.name("causes").array(|w| causes(&minutes, w));
        let names = config.models.iter().map(|(name, _)| name);
        shares("models", &minutes, |minute| &minute.models, names, w);
        shares("keys", &minutes, |minute| &minute.keys, config.keys.iter().map(|key| key.name.as_str()), w);
        w.name("targets").array(|w| targets(config, &minutes, host, w));
        w.name("credentials").array(|w| credentials(config, host, w));
        fullest(config, host, w);
    });
    out
}

fn of_minute(minute: &Minute, w: &mut Writer<'_>) {
    w.field("at", &(minute.number * MINUTE));
    totals(&minute.totals, w);
    quantiles("first", &minute.first, w);
    quantiles("took", &minute.took, w);
}

fn of_hour(minutes: &[Minute], w: &mut Writer<'_>) {
    let (mut sum, mut first, mut took) = (Totals::default(), Histogram::default(), Histogram::default());
    for minute in minutes {
        sum.add(&minute.totals);
        first.merge(&minute.first);
        took.merge(&minute.took);
    }
    totals(&sum, w);
    quantiles("first", &first, w);
    quantiles("took", &took, w);
}

fn totals(totals: &Totals, w: &mut Writer<'_>) {
    w.field("answered", &totals.answered);
    w.field("failed", &totals.failed);
    w.field("refused", &totals.refused);
    w.field("left", &totals.left);
    w.field("fell_back", &totals.fell_back);
    w.field("unpriced", &totals.unpriced);
    w.field("estimated", &totals.estimated);
    used(&totals.used, w);
}

fn used(used: &Used, w: &mut Writer<'_>) {
    w.field("input", &used.input);
    w.field("cached", &used.cached);
    w.field("output", &used.output);
    w.field("usd", &Counted { amount: used.usd, usd: true });
}

/// In milliseconds; nothing where nothing was measured.
fn quantiles(name: &str, histogram: &Histogram, w: &mut Writer<'_>) {
    if let (Some(p50), Some(p95)) = (histogram.quantile(50), histogram.quantile(95)) {
        w.name(name).object(|w| {
            w.field("p50", &p50);
            w.field("p95", &p95);
        });
    }
}

fn causes(minutes: &[Minute], w: &mut Writer<'_>) {
    for cause in Cause::all() {
        let count: u64 = minutes.iter().map(|minute| minute.cause(cause)).sum();
        if count > 0 {
            let fault = match cause.fault() {
                Fault::Client => "client",
                Fault::Provider => "provider",
                Fault::Operator => "operator",
            };
            w.object(|w| {
                w.field("cause", cause.name());
                w.field("fault", fault);
                w.field("count", &count);
            });
        }
    }
}

/// Those of `names` that had requests; what stands without a name is the others'.
fn shares<'c>(
    list: &str,
    minutes: &[Minute],
    rows: fn(&Minute) -> &Rows,
    names: impl Iterator<Item = &'c str>,
    w: &mut Writer<'_>,
) {
    let (named, others) = by_name(&minutes.iter().map(rows).collect::<Vec<_>>(), names);
    w.name(list).array(|w| {
        for (name, counts) in named {
            w.object(|w| {
                w.field("name", name);
                counted(&counts, w);
            });
        }
        if others.requests > 0 {
            w.object(|w| counted(&others, w));
        }
    });
}

fn counted(counts: &Counts, w: &mut Writer<'_>) {
    w.field("requests", &counts.requests);
    w.field("answered", &counts.answered);
    w.field("failed", &counts.failed);
    w.field("took", &counts.took);
    used(&counts.used, w);
}

/// Every target of configuration, each once.
fn targets(config: &Config, minutes: &[Minute], host: &dyn Host, w: &mut Writer<'_>) {
    let now = host.now();
    let mut known = BTreeSet::new();
    let all: Vec<&Target> =
        config.ways().flat_map(|model| &model.targets).filter(|target| known.insert(target.id.as_str())).collect();
    let rows: Vec<&Rows> = minutes.iter().map(|minute| &minute.targets).collect();
    let (mut named, _) = by_name(&rows, all.iter().map(|target| target.id.as_str()));
    named.reverse();
    for target in all {
        let counts = named.pop_if(|(id, _)| *id == target.id).map_or_else(Counts::default, |(_, counts)| counts);
        let health: Health = read(host, &key(&target.id));
        let (good, failed) = health.recent(now, &target.breaker);
        w.object(|w| {
            w.field("name", &target.id);
            w.field("provider", &target.provider);
            standing(health.standing(now), now, w);
            w.name("recent").object(|w| {
                w.field("good", &good);
                w.field("failed", &failed);
            });
            counted(&counts, w);
        });
    }
}

/// Providers' credentials where there are several: each is judged for itself.
fn credentials(config: &Config, host: &dyn Host, w: &mut Writer<'_>) {
    let now = host.now();
    for provider in config.providers.values() {
        let keys = Keys { provider: &provider.name, all: &provider.keys };
        let each = if keys.are_several() { keys.each(now, host) } else { Vec::new() };
        for (name, how) in each {
            w.object(|w| {
                w.field("provider", &provider.name);
                w.field("name", name);
                standing(how, now, w);
            });
        }
    }
}

fn standing(standing: Standing, now: u64, w: &mut Writer<'_>) {
    let (name, wait) = match standing {
        Standing::Well => ("well", None),
        Standing::Due => ("due", None),
        Standing::Cooled(until) => ("cooled", Some(until.saturating_sub(now))),
    };
    w.field("standing", name);
    w.field_some("for_ms", &wait);
}

/// An account with a limit, and whose it is.
struct Full<'c> {
    limit: &'c Limit,
    key: &'c Key,
    model: &'c str,
    at: Option<At<'c>>,
    account: Account,
}

/// How many accounts are told: those that are fullest.
const MOST_TOLD: usize = 50;
/// How many are looked at: each look costs a microsecond, which all of the worker's requests wait for.
const MOST_LOOKED_AT: usize = 2000;

/// The accounts that are fullest, and how many others there are, as far as they were looked at. What is by clients' own words has too many.
fn fullest(config: &Config, host: &dyn Host, w: &mut Writer<'_>) {
    let mut known = BTreeSet::new();
    let mut accounts: Vec<Full<'_>> = Vec::new();
    let mut looks = MOST_LOOKED_AT;
    for limit in config.limits.iter().filter(|limit| !limit.scope.is_by_clients()) {
        let found: Vec<Full<'_>> = of_limit(config, limit, host).take(looks).collect();
        looks = looks.saturating_sub(found.len());
        accounts.extend(found.into_iter().filter(|full| known.insert((limit.id, full.account.subject))));
    }
    let more = accounts.len().saturating_sub(MOST_TOLD);
    accounts.sort_by(|one, other| other.share().total_cmp(&one.share()));
    accounts.truncate(MOST_TOLD);
    w.name("limits").array(|w| accounts.iter().for_each(|full| w.object(|w| full.write(w))));
    w.field("more_limits", &(more as u64));
}

/// The accounts with a limit, some more than once.
fn of_limit<'c>(config: &'c Config, limit: &'c Limit, host: &'c dyn Host) -> impl Iterator<Item = Full<'c>> {
    let (of_keys, of_models) =
        (is_of_keys(limit), limit.scope.by.contains(&By::Model) || matches!(limit.scope.of, Of::Model(_)));
    let keys = config.keys.iter().map(AsRef::as_ref).take(if of_keys { usize::MAX } else { 1 });
    keys.flat_map(move |key: &Key| {
        let models = config.models.iter().map(|(name, _)| name).filter(move |model| !of_keys || key.may_ask(model));
        let models = models.take(if of_models { usize::MAX } else { 1 });
        models.flat_map(move |model| {
            places(config, limit).into_iter().filter_map(move |at| {
                let account =
                    limits::look(limit, Who { key: Some(key), model, at, ..Who::default() }, host.now(), host)?;
                Some(Full { limit, key, model, at, account })
            })
        })
    })
}

/// Where requests may go, as far as the limit tells that apart.
fn places<'c>(config: &'c Config, limit: &Limit) -> Vec<Option<At<'c>>> {
    if !limit.scope.is_of_targets() {
        return vec![None];
    }
    if limit.scope.by.contains(&By::Target) {
        let targets = config.models.iter().flat_map(|(_, model)| &model.targets);
        return targets.map(|target| Some(At { provider: &target.provider, target: &target.id })).collect();
    }
    config.providers.keys().map(|provider| Some(At { provider, target: "" })).collect()
}

fn is_of_keys(limit: &Limit) -> bool {
    matches!(limit.scope.of, Of::Key(_) | Of::Role(_))
        || limit.scope.by.iter().any(|by| matches!(by, By::Key | By::Team | By::Label(_)))
}

impl Full<'_> {
    fn share(&self) -> f64 {
        self.account.used.saturating_add(self.account.held) as f64 / self.limit.most.max(1) as f64
    }

    fn write(&self, w: &mut Writer<'_>) {
        let Self { limit, key, model, at, account } = self;
        w.field("limit", &limit.name);
        if matches!(limit.scope.of, Of::Key(_)) || limit.scope.by.contains(&By::Key) {
            w.field("key", &key.name);
        }
        if matches!(limit.scope.of, Of::Model(_)) || limit.scope.by.contains(&By::Model) {
            w.field("model", *model);
        }
        match &limit.scope.of {
            Of::Role(role) => w.field("role", role),
            Of::Provider(provider) if !limit.scope.by.contains(&By::Provider) => w.field("provider", provider),
            _ => {}
        }
        for by in &limit.scope.by {
            match by {
                By::Team => w.field("team", &key.team.as_deref()),
                By::Label(name) => w.field("label", &key.labels.get(name).map(String::as_str)),
                By::Provider => w.field("provider", &at.map(|at| at.provider)),
                By::Target => w.field("target", &at.map(|at| at.target)),
                By::Key | By::Model | By::User | By::ClientLabel(_) => {}
            }
        }
        let usd = limit.amount == Amount::Usd;
        for (name, amount) in [("most", limit.most), ("used", account.used), ("held", account.held)] {
            w.field(name, &Counted { amount, usd });
        }
        w.field("usd", &usd);
        w.field("soft", &limit.soft);
        w.field("resets_in_ms", &account.reset);
    }
}
