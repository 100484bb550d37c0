//! Embeddings: Cohere's Embed API, version 2.
//!
//! <https://docs.cohere.com/reference/embed>

use super::super::{Dropped, Embedder, Target, embed};
use super::{Cohere, failure};
use crate::embedding::{Answer, Request};
use crate::error::Error;
use crate::json::Document;

impl Embedder for Cohere {
    fn path(&self, _request: &Request<'_>, _target: &Target<'_>) -> String {
        "/v2/embed".to_owned()
    }

    fn request(&self, request: &Request<'_>, target: &Target<'_>, out: &mut String) -> Result<Dropped, Error> {
        embed::write_cohere(request, target, true, out)
    }

    fn answer<'a>(&self, body: &'a Document<'a>) -> Result<Answer<'a>, Error> {
        match failure::inside(body.root()) {
            Some(error) => Err(error),
            None => embed::read_cohere(body.root()),
        }
    }
}
