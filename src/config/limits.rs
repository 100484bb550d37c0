//! How much may be used, by whom, over what time. Checked.

use core::fmt;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::auth::AuthFile;
use super::checked::Check;
use super::labels::USER;
use super::scope::{By, Of, Scope};
use super::shared::{Shared, Slots};
use super::units::Duration;
use crate::chance::hash;
use crate::limits::window::{Per, Window};
use crate::price::pico_usd;
use crate::time_zone::TimeZone;

/// A limit: one amount, over one length of time, for each of what `by` names.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LimitFile {
    /// Most requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Most tokens, of prompts and answers together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Most tokens of prompts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Most tokens of answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Most to spend, in whole USD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<u64>,
    /// Most requests at a time. Without `per`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u64>,
    /// `second`, `minute`, `hour`, `day` or `month` of the calendar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<Per>,
    /// In place of `per`: always the last so long, `5h`. It forgets in fifteenths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolling: Option<Duration>,
    /// When a day or month begins: how far the clock is ahead of UTC, `+02:00`. Default: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utc_offset: Option<String>,
    /// In place of `utc_offset`: by which clock a day or month begins, `Europe/Berlin`. Also a rule as POSIX has it for `TZ`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// What has an account of its own: `key`, `team`, `label:NAME` (of the key), `client_label:NAME` (of the key, or else as the
    /// client says), `user` (the request's member), `model`, `provider`, `target` (a provider's model); several together.
    /// Default: a key's own limits are for the key, a model's for the model, a provider's for the provider, a role's for all who
    /// have it, those at the top for all together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// Only tells, in the header `x-gateway-limit`, and refuses nobody. Default false.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub soft: bool,
    /// A model that takes what is past the limit, instead of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downgrade_to: Option<String>,
    /// How long a request that is past the limit is held until there is room, before it is refused: `5s`, at most `5m`. Default: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Duration>,
    /// Holds for all Envoys that ask the same `rate_limit_service` together, and not for each by itself. Default false.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub shared: bool,
}

/// A limit in which every rule holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// By what its accounts are known, whatever else configuration has: what it says, and what it is about.
    pub id: u64,
    /// What it says, for messages: `600 requests per minute`.
    pub name: String,
    /// What it counts.
    pub amount: Amount,
    /// How much there may be; USD in 10⁻¹².
    pub most: u64,
    /// Over what time.
    pub window: Window,
    /// Whom it is about, and what it tells apart.
    pub scope: Rc<Scope>,
    /// Refuses nobody.
    pub soft: bool,
    /// The model that takes what is past it.
    pub downgrade_to: Option<String>,
    /// How long a request waits for room, in milliseconds.
    pub wait: Option<u64>,
    /// How a rate limit service knows it, where several Envoys share it.
    pub shared: Option<Shared>,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Requests.
    Requests,
    /// Tokens, all.
    Tokens,
    /// Tokens of prompts.
    Input,
    /// Tokens of answers.
    Output,
    /// 10⁻¹² USD.
    Usd,
    /// Requests under way.
    Concurrent,
}

/// 10⁻¹² USD.
const DOLLAR: u64 = 1_000_000_000_000;
/// The most that is counted, in USD.
const MOST_USD: u64 = 10_000_000;

/// The longest that a request may wait, in milliseconds.
const MOST_WAIT: u64 = 300_000;

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Check<'_> {
    /// Every limit, wherever it stands.
    pub(super) fn limits(&mut self) -> Vec<Rc<Limit>> {
        let file = self.file;
        let mut limits = Vec::new();
        let mut slots = Slots::default();
        for (index, limit) in file.limits.iter().enumerate() {
            limits.extend(self.limit(&format!("limits[{index}]"), limit, Of::All, &mut slots));
        }
        for (number, key) in file.keys.iter().flatten().enumerate() {
            for (index, limit) in key.limits.iter().enumerate() {
                limits.extend(self.limit(
                    &format!("keys[{number}].limits[{index}]"),
                    limit,
                    Of::Key(key.name.clone()),
                    &mut slots,
                ));
            }
        }
        for (name, model) in &file.models {
            for (index, limit) in model.limits.iter().enumerate() {
                limits.extend(self.limit(
                    &format!("models.{name}.limits[{index}]"),
                    limit,
                    Of::Model(name.clone()),
                    &mut slots,
                ));
            }
        }
        for (name, role) in &file.roles {
            for (index, limit) in role.limits.iter().enumerate() {
                limits.extend(self.limit(
                    &format!("roles.{name}.limits[{index}]"),
                    limit,
                    Of::Role(name.clone()),
                    &mut slots,
                ));
            }
        }
        for (name, provider) in &file.providers {
            for (index, limit) in provider.limits.iter().enumerate() {
                let path = format!("providers.{name}.limits[{index}]");
                limits.extend(self.limit(&path, limit, Of::Provider(name.clone()), &mut slots));
            }
        }
        limits.into_iter().map(Rc::new).collect()
    }

    fn limit(&mut self, path: &str, file: &LimitFile, of: Of, slots: &mut Slots) -> Option<Limit> {
        let given: Vec<(Amount, &str, u64)> = [
            (Amount::Requests, "requests", file.requests),
            (Amount::Tokens, "tokens", file.tokens),
            (Amount::Input, "input_tokens", file.input_tokens),
            (Amount::Output, "output_tokens", file.output_tokens),
            (Amount::Usd, "usd", file.usd),
            (Amount::Concurrent, "concurrent", file.concurrent),
        ]
        .into_iter()
        .filter_map(|(amount, name, most)| Some((amount, name, most?)))
        .collect();
        let [(amount, name, most)] = given[..] else {
            let what = "`requests`, `tokens`, `input_tokens`, `output_tokens`, `usd` or `concurrent`";
            self.mistake(path, format!("expected one of {what}; found {}", given.len()));
            return None;
        };
        if amount == Amount::Usd && most > MOST_USD {
            self.mistake(format!("{path}.usd"), format!("expected at most {MOST_USD}"));
        }
        let zone = self.zone(path, file);
        let (window, over) = match (file.per, file.rolling, amount) {
            (None, None, Amount::Concurrent) => (Window::Now, " at a time".to_owned()),
            (_, _, Amount::Concurrent) => {
                self.mistake(path, "`concurrent` counts what is under way: leave `per` and `rolling` out");
                return None;
            }
            (Some(per), None, _) => (Window::Calendar { per, zone }, format!(" per {}", per.name())),
            (None, Some(length), _) if length.as_millis() > 0 => {
                (Window::Rolling(length.as_millis()), format!(" in {length}"))
            }
            _ => {
                self.mistake(
                    path,
                    "expected either `per: minute` (or `second`, `hour`, `day`, `month`) or `rolling: 5h`",
                );
                return None;
            }
        };
        let by: Vec<By> = (0..).zip(&file.by).filter_map(|(index, by)| self.by(path, index, by)).collect();
        if let Some(model) = &file.downgrade_to
            && !self.file.models.contains_key(model)
        {
            let known = self.file.models.keys().map(String::as_str);
            self.mistake(format!("{path}.downgrade_to"), super::unknown("model", model, known));
        }
        let words = if amount == Amount::Concurrent { "requests" } else { name };
        let told = match amount {
            Amount::Usd => format!("{} USD{over}", pico_usd(most.min(MOST_USD) * DOLLAR)),
            _ => format!("{most} {}{over}", words.replace('_', " ")),
        };
        let mut limit = Limit {
            id: hash(0, format!("{told} {by:?} {of:?}").as_bytes()),
            name: told,
            amount,
            most: if amount == Amount::Usd { most.min(MOST_USD) * DOLLAR } else { most },
            window,
            scope: Rc::new(Scope::new(by, of, self.file.auth != AuthFile::default())),
            soft: file.soft,
            downgrade_to: file.downgrade_to.clone(),
            wait: file.wait.map(Duration::as_millis),
            shared: None,
        };
        self.past(path, &limit);
        limit.shared = self.shared(path, file, &limit, slots);
        Some(limit)
    }

    /// What happens past a limit.
    fn past(&mut self, path: &str, limit: &Limit) {
        if limit.scope.is_of_targets() && limit.downgrade_to.is_some() {
            let message =
                "does not go with a limit of providers or targets: past it, requests go to the model's other targets";
            self.mistake(format!("{path}.downgrade_to"), message);
        }
        let Some(wait) = limit.wait else { return };
        if !(1..=MOST_WAIT).contains(&wait) {
            self.mistake(format!("{path}.wait"), "expected a duration up to `5m`");
        }
        if limit.soft || limit.downgrade_to.is_some() {
            self.mistake(format!("{path}.wait"), "expected one of `wait`, `soft` and `downgrade_to`");
        }
    }

    fn by(&mut self, path: &str, index: usize, by: &str) -> Option<By> {
        Some(match (by, by.strip_prefix("label:")) {
            ("key", _) => By::Key,
            ("team", _) => By::Team,
            ("user", _) => By::User,
            ("model", _) => By::Model,
            ("provider", _) => By::Provider,
            ("target", _) => By::Target,
            (_, Some(label)) if !label.is_empty() => By::Label(label.to_owned()),
            _ => {
                let Some(label) = by.strip_prefix("client_label:") else {
                    let expected = "expected `key`, `team`, `label:NAME`, `client_label:NAME`, `user`, `model`, `provider` or `target`";
                    self.mistake(format!("{path}.by[{index}]"), expected);
                    return None;
                };
                let labels = self.file.labels.clone().unwrap_or_default();
                let named = labels.headers.iter().chain(&labels.metadata).any(|name| name == label);
                if !(named || labels.user && label == USER) {
                    let message = format!("clients may not say it: `labels: {{ headers: [{label}] }}` lets them");
                    self.mistake(format!("{path}.by[{index}]"), message);
                }
                By::ClientLabel(label.to_owned())
            }
        })
    }

    fn zone(&mut self, path: &str, file: &LimitFile) -> TimeZone {
        let Some(rule) = &file.time_zone else { return TimeZone::fixed(self.offset(path, file)) };
        if file.utc_offset.is_some() {
            self.mistake(format!("{path}.time_zone"), "expected either `time_zone` or `utc_offset`");
        }
        TimeZone::parse(rule).unwrap_or_else(|| {
            let message = "expected the name of a time zone such as `Europe/Berlin`, or a rule such as `CET-1CEST,M3.5.0,M10.5.0/3`";
            self.mistake(format!("{path}.time_zone"), message);
            TimeZone::UTC
        })
    }

    /// Minutes.
    fn offset(&mut self, path: &str, file: &LimitFile) -> i32 {
        let Some(text) = &file.utc_offset else { return 0 };
        let minutes = || {
            let (hours, minutes) = text.get(1..)?.split_once(':')?;
            let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
            let sign = if text.starts_with('+') { 1 } else { -1 };
            let valid = text.starts_with(['+', '-']) && (0..=14).contains(&hours) && (0..60).contains(&minutes);
            valid.then_some(sign * (hours * 60 + minutes))
        };
        minutes().unwrap_or_else(|| {
            self.mistake(format!("{path}.utc_offset"), "expected an offset such as `+02:00` or `-05:00`");
            0
        })
    }
}
