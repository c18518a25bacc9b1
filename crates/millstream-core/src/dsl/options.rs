//! What verbs can be told beside their closures: names, serdes, how a store is kept.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use millstream_types::{DefaultSerde, Serde};

use crate::timestamp_extractor::{FailOnInvalidTimestamp, TimestampExtractor};
use crate::topology::OffsetReset;

/// The name of one operator, in place of a generated one.
///
/// It may have letters, digits, `.`, `_` and `-`; building the topology checks that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named(pub(crate) Arc<str>);

impl Named {
    /// Names an operator.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }
}

impl<S: Into<Arc<str>>> From<S> for Named {
    fn from(name: S) -> Self {
        Self::new(name)
    }
}

/// How a topic is read.
pub struct Consumed<K, V> {
    pub(crate) key: Serde<K>,
    pub(crate) value: Serde<V>,
    pub(crate) extractor: Arc<dyn TimestampExtractor<K, V>>,
    pub(crate) reset: Option<OffsetReset>,
    pub(crate) name: Option<Arc<str>>,
}

impl<K, V> Consumed<K, V> {
    /// Reads keys and values by these serdes.
    #[must_use]
    pub fn with(key: Serde<K>, value: Serde<V>) -> Self {
        Self { key, value, extractor: Arc::new(FailOnInvalidTimestamp), reset: None, name: None }
    }

    /// Takes the records' times from `extractor`.
    #[must_use]
    pub fn timestamp_extractor(
        mut self,
        extractor: impl TimestampExtractor<K, V> + 'static,
    ) -> Self {
        self.extractor = Arc::new(extractor);
        self
    }

    /// Starts to read here where the group has committed nothing.
    #[doc(alias = "auto.offset.reset")]
    #[must_use]
    pub const fn offset_reset(mut self, reset: OffsetReset) -> Self {
        self.reset = Some(reset);
        self
    }

    /// Names the source.
    #[must_use]
    pub fn named(mut self, name: impl Into<Named>) -> Self {
        self.name = Some(name.into().0);
        self
    }
}

impl<K: DefaultSerde, V: DefaultSerde> Default for Consumed<K, V> {
    fn default() -> Self {
        Self::with(K::default_serde(), V::default_serde())
    }
}

/// How a topic is written.
pub struct Produced<K, V> {
    pub(crate) key: Serde<K>,
    pub(crate) value: Serde<V>,
    pub(crate) name: Option<Arc<str>>,
}

impl<K, V> Produced<K, V> {
    /// Writes keys and values by these serdes.
    #[must_use]
    pub const fn with(key: Serde<K>, value: Serde<V>) -> Self {
        Self { key, value, name: None }
    }

    /// Names the sink.
    #[must_use]
    pub fn named(mut self, name: impl Into<Named>) -> Self {
        self.name = Some(name.into().0);
        self
    }
}

impl<K: DefaultSerde, V: DefaultSerde> Default for Produced<K, V> {
    fn default() -> Self {
        Self::with(K::default_serde(), V::default_serde())
    }
}

/// How records are written to and read from a repartition topic.
pub struct Grouped<K, V> {
    pub(crate) key: Serde<K>,
    pub(crate) value: Serde<V>,
    pub(crate) name: Option<Arc<str>>,
}

impl<K, V> Grouped<K, V> {
    /// Writes and reads keys and values by these serdes.
    #[must_use]
    pub const fn with(key: Serde<K>, value: Serde<V>) -> Self {
        Self { key, value, name: None }
    }

    /// Names the repartition topic, should there be one, and the operator that selects the key. Two
    /// aggregations of one named grouping share the topic.
    #[must_use]
    pub fn named(mut self, name: impl Into<Named>) -> Self {
        self.name = Some(name.into().0);
        self
    }
}

impl<K: DefaultSerde, V: DefaultSerde> Default for Grouped<K, V> {
    fn default() -> Self {
        Self::with(K::default_serde(), V::default_serde())
    }
}

/// How the store behind a table is kept.
pub struct Materialized<K, V> {
    pub(crate) store: Option<Arc<str>>,
    pub(crate) key: Option<Serde<K>>,
    pub(crate) value: Option<Serde<V>>,
    pub(crate) caching: bool,
    pub(crate) logging: Option<BTreeMap<String, String>>,
}

impl<K, V> Materialized<K, V> {
    /// A store with a generated name, cached and logged, with the serdes of the stream.
    ///
    /// A verb that is told this counts one name more than the same verb that is told nothing, as in
    /// Java.
    #[must_use]
    pub const fn new() -> Self {
        Self { store: None, key: None, value: None, caching: true, logging: Some(BTreeMap::new()) }
    }

    /// A store of this name, which queries can ask for.
    #[must_use]
    pub fn stored_as(name: impl Into<Arc<str>>) -> Self {
        Self { store: Some(name.into()), ..Self::new() }
    }

    /// Writes and reads keys by this serde.
    #[must_use]
    pub fn key_serde(mut self, serde: Serde<K>) -> Self {
        self.key = Some(serde);
        self
    }

    /// Writes and reads values by this serde.
    #[must_use]
    pub fn value_serde(mut self, serde: Serde<V>) -> Self {
        self.value = Some(serde);
        self
    }

    /// Puts a record cache on top of the store, or not. Without one every change is logged and
    /// forwarded at once.
    #[must_use]
    pub const fn caching(mut self, caching: bool) -> Self {
        self.caching = caching;
        self
    }

    /// Keeps no changelog: a lost store stays lost.
    #[must_use]
    pub fn logging_disabled(mut self) -> Self {
        self.logging = None;
        self
    }

    /// Sets one of the changelog topic's settings.
    #[must_use]
    pub fn changelog_config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let configs = self.logging.get_or_insert_default();
        configs.insert(name.into(), value.into());
        self
    }
}

impl<K, V> Default for Materialized<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

/// Options print as their type and name: serdes have nothing to show.
macro_rules! debug_by_name {
    ($($type:ident.$field:ident),*) => {$(
        impl<K, V> fmt::Debug for $type<K, V> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type))
                    .field(stringify!($field), &self.$field)
                    .finish_non_exhaustive()
            }
        }
    )*};
}

debug_by_name!(Consumed.name, Produced.name, Grouped.name, Materialized.store);
