//! What an attempt has shown of its target, told to all workers.

use super::ledger::Ledger;
use super::metrics::cooldown;
use super::step::{Host, Notice, Step};
use crate::config::Strategy;
use crate::error::{Cause, Fault};
use crate::route::{Health, Hop, Standing, glance, key, update};

/// A request goes out to it.
pub(super) fn begins(host: &dyn Host, hop: &Hop) {
    if hop.strategy == Strategy::LeastBusy {
        let now = host.now();
        change(host, hop, |health| health.begins(now));
    }
}

/// An answer came to its end. `took` has how long its first content and the rest took, in milliseconds, and how many tokens
/// that was. Of a target that is well the other workers are told once a second, and with its next failure.
pub(super) fn succeeded(host: &dyn Host, ledger: &Ledger, hop: &Hop, took: (u64, u64, u64), step: &mut Step) {
    if hop.is_copys() {
        return;
    }
    let now = host.now();
    let is_measured = matches!(hop.strategy, Strategy::Latency | Strategy::LeastBusy);
    let is_well = || glance::<Health>(host, &key(&hop.target)).standing(now) == Standing::Well;
    if !ledger.is_good(&hop.target, now) && !is_measured && is_well() {
        return;
    }
    let good = ledger.take_good(&hop.target);
    let recovered = change(host, hop, |health| {
        let (first, rest, tokens) = took;
        if hop.strategy == Strategy::Latency {
            health.took(now, first, rest, tokens);
        }
        end(health, hop);
        health.add_good(now, good.saturating_sub(1), &hop.breaker);
        health.succeeded(now, &hop.breaker)
    });
    if recovered == Some(true) {
        step.notice(Notice::Info(format!("{} is well again", hop.target)));
    }
}

/// It failed, or refused; `retry_after`, in milliseconds, is what the provider asks for.
pub(super) fn failed(
    host: &dyn Host,
    ledger: &Ledger,
    hop: &Hop,
    cause: Cause,
    retry_after: Option<u64>,
    step: &mut Step,
) {
    let (now, good) = (host.now(), ledger.take_good(&hop.target));
    let tripped = change(host, hop, |health| {
        end(health, hop);
        health.add_good(now, good, &hop.breaker);
        health.failed(now, cause, retry_after, &hop.breaker)
    });
    if tripped == Some(true) {
        step.notice(left_alone(&hop.target, cause));
        step.metrics.push(cooldown(&hop.provider, hop.target.clone(), cause));
    }
}

/// That `what`, a target or a credential, is left alone.
pub(super) fn left_alone(what: &str, cause: Cause) -> Notice {
    let told = format!("{what} is left alone for now: {}", cause.name());
    match cause.fault() {
        Fault::Operator => Notice::Error(told + "; it does not mend itself"),
        Fault::Client | Fault::Provider => Notice::Warning(told),
    }
}

/// Its provider says that nothing is left to be had of it until then.
pub(super) fn spent(host: &dyn Host, hop: &Hop, until: u64, step: &mut Step) {
    let now = host.now();
    let spent = update(host, &key(&hop.target), |health: &mut Health| health.spent(now, until));
    if spent == Some(true) {
        let wait = until.saturating_sub(now);
        let told = format!("{} is left alone for {wait} ms: its provider's limit is reached", hop.target);
        step.notice(Notice::Info(told));
        step.metrics.push(cooldown(&hop.provider, hop.target.clone(), Cause::RateLimited));
    }
}

/// It was cut off by no fault of its own.
pub(super) fn unknown(host: &dyn Host, hop: &Hop) {
    if hop.strategy == Strategy::LeastBusy {
        change(host, hop, |health| end(health, hop));
    }
}

fn end(health: &mut Health, hop: &Hop) {
    if hop.strategy == Strategy::LeastBusy {
        health.ends();
    }
}

/// The target of a copy has no health: what becomes of copies is nobody's fault.
fn change<T>(host: &dyn Host, hop: &Hop, change: impl Fn(&mut Health) -> T) -> Option<T> {
    if hop.is_copys() {
        return None;
    }
    update(host, &key(&hop.target), |health: &mut Health| Some(change(health)))
}
