//! What all workers have in common: small records by key, changed by compare-and-swap.

/// Records that every worker sees. Nothing in them ever expires, so there may be only so many keys: those that
/// configuration names.
pub trait Shared {
    /// The record, and what tells its state from another. Also where there is none yet, so that only one worker makes it.
    fn get(&self, key: &str) -> (Option<Vec<u8>>, Version);

    /// The record as it is, or was a tenth of a second ago at most: for what may come to be known a little late. What this worker
    /// has changed is there at once.
    fn glance(&self, key: &str) -> Option<Vec<u8>> {
        self.get(key).0
    }

    /// Puts `record` in place of the one that [`Self::get`] gave with `version`; `false` if it has changed since.
    fn set(&self, key: &str, record: &[u8], version: Version) -> bool;
}

/// Tells a record's states apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(pub u32);

/// A record of a fixed form.
pub trait Record: Sized + Default {
    /// Reads what [`Self::encode`] wrote; `None` for anything else, as another release may have left it.
    fn decode(bytes: &[u8]) -> Option<Self>;

    /// For [`Shared::set`].
    fn encode(&self) -> Vec<u8>;
}

/// How often a change is tried again that another worker has overtaken. Each loser has a winner, so that with W workers
/// some W tries do.
pub const TRIES: usize = 64;

/// The record with that key.
pub fn read<R: Record>(shared: &dyn Shared, key: &str) -> R {
    shared.get(key).0.and_then(|bytes| R::decode(&bytes)).unwrap_or_default()
}

/// The same by a glance.
pub fn glance<R: Record>(shared: &dyn Shared, key: &str) -> R {
    shared.glance(key).and_then(|bytes| R::decode(&bytes)).unwrap_or_default()
}

/// Changes the record with that key, unless `change` finds (by `None`) that there is nothing to do.
pub fn update<R: Record, T>(shared: &dyn Shared, key: &str, change: impl Fn(&mut R) -> Option<T>) -> Option<T> {
    for _ in 0..TRIES {
        let (bytes, version) = shared.get(key);
        let mut record = bytes.and_then(|bytes| R::decode(&bytes)).unwrap_or_default();
        let result = change(&mut record)?;
        if shared.set(key, &record.encode(), version) {
            return Some(result);
        }
    }
    None
}
