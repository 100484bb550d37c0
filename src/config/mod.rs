//! What the operator writes, and the configuration that the machines run on.
//!
//! [`File`] is the operator's document as it stands (JSON to the module, YAML to the command; the same members).
//! [`Config`] is what it means once every rule was checked; nothing else refuses configuration.

mod api_keys;
mod base_url;
mod checked;
mod file;
mod models;
mod policy;
mod suggest;
mod units;

pub use self::api_keys::{ApiKey, ApiKeyFile, ApiKeyMore};
pub use self::base_url::BaseUrl;
pub use self::checked::{Config, Log, Mistake, Provider};
pub use self::file::{BreakerFile, File, ModelFile, Module, Position, ProviderFile, SecretRef, TargetFile, Timeouts};
pub use self::models::{Found, Model, Models, Target};
pub use self::policy::{Breaker, StickyBy, Strategy};
pub use self::suggest::{nearest, unknown};
pub use self::units::{Bytes, Duration};
