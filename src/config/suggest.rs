//! What the operator may have meant.

/// "unknown kind `openia`; did you mean `openai`?"
pub fn unknown<'n>(what: &str, given: &str, known: impl Iterator<Item = &'n str>) -> String {
    let known: Vec<&str> = known.collect();
    match nearest(given, known.iter().copied()) {
        Some(name) => format!("unknown {what} `{given}`; did you mean `{name}`?"),
        None => format!("unknown {what} `{given}`; there are: {}", known.join(", ")),
    }
}

/// The one of `known` that `given` is most like, if it is at all.
pub fn nearest<'n>(given: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let distances = known.map(|name| (strsim::damerau_levenshtein(given, name), name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + given.len() / 3).then_some(name)
}
