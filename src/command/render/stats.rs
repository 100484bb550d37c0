//! How Envoy takes the names of the module's statistics apart.

use model_gateway::metrics::{Kind, LABELS, METRICS, tag_pattern};
use serde_json::{Value, json};

/// The bootstrap's `stats_config`.
pub fn stats() -> Value {
    let tags: Vec<Value> =
        LABELS.iter().map(|(label, name)| json!({ "tag_name": name, "regex": tag_pattern(*label) })).collect();
    let buckets: Vec<Value> = METRICS
        .iter()
        .filter_map(|metric| match metric.kind {
            Kind::Histogram(buckets) => {
                Some(json!({ "match": { "prefix": format!("wasmcustom.{}", metric.name) }, "buckets": buckets }))
            }
            Kind::Counter => None,
        })
        .collect();
    json!({ "stats_tags": tags, "histogram_bucket_settings": buckets })
}
