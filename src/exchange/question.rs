//! What a client asks for, before it is known where it goes; what is wrong with it, in words for the client.

use super::access::permit;
use super::endpoint::{Asks, Endpoint};
use super::labels::Labels;
use super::step::Host;
use super::subject::Request;
use crate::config::{Config, Found, Key};
use crate::dialect::Operation;
use crate::error::{Cause, Error};
use crate::json::Document;
use crate::route::{Explanation, Plan, Question, Unfit, choose, decide};
use crate::splice::Facts;

/// Why a request with this key would go where it would go.
///
/// # Errors
/// It is none that goes anywhere: the client's mistake.
pub fn explain(config: &Config, key: Option<&Key>, host: &dyn Host, body: &[u8]) -> Result<Explanation, Error> {
    let path = host.header(":path").unwrap_or_default();
    let Some((Asks::Model(operation), _)) = Endpoint::find("POST", &path)? else {
        return Err(Error::new(Cause::UnknownEndpoint, format!("Nothing at {path} goes to a model.")));
    };
    let document = parse(body)?;
    let facts = Facts::of(operation, &document)?;
    let name = facts.model.decode();
    let question = question(config, key, host, operation, &facts, &name)?;
    let labels = Labels::of(config, key, host, &document);
    let request = Request::new(host, &document, &question, &labels);
    let choice = choose(config, &question, &request);
    Ok(Explanation::of(&decide(config, question, choice, &request, host)))
}

/// What the client with this key may ask for by this name.
pub(super) fn find<'a>(config: &'a Config, key: Option<&Key>, name: &'a str) -> Result<Found<'a>, Error> {
    permit(key, name)?;
    config.models.find(name).ok_or_else(|| {
        let name: String = name.chars().take(MAX_TOLD).collect();
        let message = format!("The model '{name}' does not exist or you do not have access to it.");
        Error { param: Some("model".to_owned()), ..Error::new(Cause::UnknownModel, message) }
    })
}

/// What is asked, as far as it is known without a look into the body.
pub(super) fn question<'a>(
    config: &'a Config,
    key: Option<&'a Key>,
    host: &dyn Host,
    operation: Operation,
    facts: &Facts<'_>,
    name: &'a str,
) -> Result<Question<'a>, Error> {
    Ok(Question {
        name,
        asked: find(config, key, name)?,
        key,
        operation,
        stream: facts.stream,
        include_usage: facts.include_usage,
        now: host.now(),
        seed: host.seed(),
    })
}

/// The request's body, which is JSON.
///
/// # Errors
/// It is none.
pub(super) fn parse(body: &[u8]) -> Result<Document<'_>, Error> {
    Document::parse(body).map_err(|invalid| {
        let message = format!("We could not parse the JSON body of your request: {invalid}.");
        Error::new(Cause::BadRequest, message)
    })
}

/// Why no target of the model gets the request.
pub(super) fn unfit(why: Unfit, model: &str, operation: Operation) -> Error {
    match why {
        Unfit::Key => {
            let message = format!("Your API key may not reach any provider of the model '{model}'.");
            Error::new(Cause::Forbidden, message)
        }
        Unfit::Operation => {
            let message = format!("The model '{model}' has no target that can be asked for {}.", operation.path());
            Error::bad_request(message, "model")
        }
        Unfit::Price => {
            let message =
                format!("Nobody knows what the model '{model}' costs here, and such models are not to be asked.");
            Error::new(Cause::Forbidden, message)
        }
        Unfit::Lacks("context") => {
            let message = format!("The prompt is longer than any target of the model '{model}' takes.");
            Error { param: Some("messages".to_owned()), ..Error::new(Cause::ContextWindow, message) }
        }
        Unfit::Lacks(what) => {
            let message = format!("The model '{model}' has no target that can do what this request needs: {what}.");
            Error::bad_request(message, "model")
        }
    }
}

/// Holds a request to what its key may have generated.
///
/// # Errors
/// It asks for more.
pub(super) fn hold_to_caps(
    key: &Key,
    document: &Document<'_>,
    operation: Operation,
    plan: &mut Plan,
) -> Result<(), Error> {
    let root = document.root();
    let given = |name: &str| root.get(name).filter(|value| !value.is_null());
    let most = [("max_completion_tokens", key.max_tokens()), ("max_tokens", key.max_tokens()), ("n", key.n())];
    for (name, most) in most {
        if let Some(most) = most
            && let Some(value) = given(name)
            && value.as_u64().is_none_or(|value| value > most)
        {
            return Err(Error::bad_request(format!("'{name}' can be at most {most} with your API key."), name));
        }
    }
    let said = || given("max_completion_tokens").or_else(|| given("max_tokens")).is_some();
    if let Some(most) = key.max_tokens().filter(|_| operation == Operation::Chat && !said()) {
        for hop in &mut plan.hops {
            let edits = hop.edits.get_or_insert_default();
            if !edits.set.contains_key("max_completion_tokens") && !edits.set.contains_key("max_tokens") {
                edits.default.insert("max_completion_tokens".to_owned(), most.into());
            }
        }
    }
    Ok(())
}

/// How much of a name that a client made up it is told again, in characters.
pub(super) const MAX_TOLD: usize = 256;
