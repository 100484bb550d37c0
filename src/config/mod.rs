//! What the operator writes, and the configuration that the machines run on.
//!
//! [`File`] is the operator's document as it stands (JSON to the module, YAML to the command; the same members).
//! [`Config`] is what it means once every rule was checked; nothing else refuses configuration.

mod api_keys;
mod auth;
mod base_url;
mod certificate;
mod checked;
mod file;
mod keys;
mod labels;
mod limits;
mod log;
mod models;
mod page;
mod payloads;
mod policy;
mod roles;
mod rules;
mod scope;
mod secret;
mod shared;
mod suggest;
mod tracing;
mod units;
mod when;

pub use self::api_keys::{ApiKey, ApiKeyFile, ApiKeyMore};
pub use self::auth::{AuthFile, Certificates, Claims, ClaimsFile, Issuer, Jwks, JwtFile};
pub use self::base_url::BaseUrl;
pub use self::certificate::{Holder, MtlsFile, Pattern, Piece, Place, TlsFile};
pub use self::checked::{Config, Mistake, Provider};
pub use self::file::{
    Abilities, BreakerFile, File, MirrorFile, ModelFile, Module, Position, ProviderFile, RuleFile, TargetFile, Timeouts,
};
pub use self::keys::{Hash, Key, KeyFile, Keys, glob};
pub use self::labels::{Labels, LabelsFile, USER};
pub use self::limits::{Amount, Limit, LimitFile};
pub use self::log::{Collector, Header, LogFile, LogPlace, Sink};
pub use self::models::{Found, Model, Models, Target};
pub use self::page::{Page, PageFile};
pub use self::payloads::{Payloads, PayloadsFile, RedactFile};
pub use self::policy::{Breaker, StickyBy, Strategy};
pub use self::roles::{Rights, Role, RoleFile};
pub use self::rules::{Condition, Mirror, Rule, Share, ShareBy, Side, Subject, Test, Way};
pub use self::scope::{By, Group, Of, Scope};
pub use self::secret::{SecretFile, SecretRef};
pub use self::shared::{OnFailure, RateLimitService, RateLimitServiceFile, Shared};
pub use self::suggest::{nearest, unknown};
pub use self::tracing::{Tracing, TracingFile};
pub use self::units::{Bytes, Duration};
pub use self::when::{Operators, Scalar, TestFile, WhenFile};
