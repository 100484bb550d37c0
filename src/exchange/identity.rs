//! Who a token or a certificate says that its holder is. Envoy has verified both: here they are only read.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::step::Host;
use crate::config::{Claims, Holder, Issuer, Key, Keys, Place, Rights, Role};
use crate::error::{Cause, Error};
use crate::names;

/// The most names in a list of a token.
const MAX_LIST: usize = 64;
/// The longest text of a token or a certificate that is taken for a name, in bytes.
const MAX_NAME: usize = 256;

/// Whom the request's token names; `None`: it has none that Envoy has verified.
///
/// # Errors
/// The token does not say all that it has to.
pub(super) fn token(keys: &Keys, host: &dyn Host) -> Option<Result<Rc<Key>, Error>> {
    let issuer = keys.issuers.iter().find(|issuer| host.property(&issuer.claims.issuer).is_some())?;
    Some(of_token(keys, issuer, host))
}

fn of_token(keys: &Keys, issuer: &Issuer, host: &dyn Host) -> Result<Rc<Key>, Error> {
    let Claims { name, team, labels, models, role, .. } = &issuer.claims;
    let claim = |property: &str| name_of(host.property(property)?);
    let name = claim(name).ok_or_else(|| {
        Error::new(Cause::Unauthorized, "Your token does not say who you are in a way that this gateway takes.")
    })?;
    if let Some(key) = keys.named(&name) {
        return Ok(key.clone());
    }
    let role = role.as_deref().and_then(|role| given_role(keys, &list(host, role))).or(issuer.role.as_ref());
    let role = role.ok_or_else(|| Error::new(Cause::Forbidden, "Your token gives you no role at this gateway."))?;
    let labels = labels.iter().filter_map(|(label, property)| Some((label.clone(), claim(property)?)));
    let holder = Holder { name, team: team.as_deref().and_then(claim), labels: labels.collect() };
    let models = models.as_deref().map(|models| list(host, models));
    Ok(foreign(holder, models, role))
}

/// Whom the client's certificate names; `None`: it has none, or none that is good here.
pub(super) fn certificate(keys: &Keys, host: &dyn Host) -> Option<Rc<Key>> {
    let mut known: BTreeMap<&str, Option<String>> = BTreeMap::new();
    keys.certificates.iter().find_map(|certificates| {
        let property = match certificates.place {
            Place::Uri => names::CERTIFICATE_URI,
            Place::Dns => names::CERTIFICATE_DNS,
            Place::Subject => names::CERTIFICATE_SUBJECT,
        };
        let text = known.entry(property).or_insert_with(|| name_of(host.property(property)?)).as_deref()?;
        let holder = certificates.pattern.holder(text)?;
        Some(keys.named(&holder.name).cloned().unwrap_or_else(|| foreign(holder, None, &certificates.role)))
    })
}

/// The first of these that configuration has. The roles that are always there are given by configuration alone: what is an
/// admin elsewhere is none here.
fn given_role<'k>(keys: &'k Keys, given: &[String]) -> Option<&'k Rc<Role>> {
    given.iter().find_map(|name| keys.roles.get(name).filter(|role| !role.built_in))
}

fn foreign(holder: Holder, models: Option<Vec<String>>, role: &Rc<Role>) -> Rc<Key> {
    let Holder { name, team, labels } = holder;
    let rights = Rights { models, ..Rights::default() };
    Rc::new(Key { name, foreign: true, team, labels, rights, role: role.clone(), ..Key::default() })
}

/// The texts of a list, or of a text with spaces between them.
fn list(host: &dyn Host, property: &str) -> Vec<String> {
    let element = |index| host.property(&format!("{property}\0{index}"));
    let elements: Vec<String> = (0..MAX_LIST).map_while(element).filter_map(name_of).collect();
    if !elements.is_empty() {
        return elements;
    }
    let text = host.property(property).and_then(name_of).unwrap_or_default();
    text.split(' ').filter(|name| !name.is_empty()).take(MAX_LIST).map(str::to_owned).collect()
}

/// Of what is no text Envoy tells bytes of its own.
fn name_of(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    let fit = !text.is_empty() && text.len() <= MAX_NAME && !text.chars().any(char::is_control);
    fit.then_some(text)
}
