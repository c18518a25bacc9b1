//! The APIs of Kafka and the versions of each that this crate speaks.

use std::fmt;

pub use crate::generated::apis::ApiKey;

/// A range of versions of one API, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VersionRange {
    /// The lowest version.
    pub min: i16,
    /// The highest version.
    pub max: i16,
}

impl VersionRange {
    /// The range from `min` to `max`, both included.
    #[must_use]
    pub const fn new(min: i16, max: i16) -> Self {
        Self { min, max }
    }

    /// Whether `version` lies in the range.
    #[must_use]
    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// The versions in both ranges; `None` where there are none.
    #[must_use]
    pub fn intersect(self, other: Self) -> Option<Self> {
        let both = Self { min: self.min.max(other.min), max: self.max.min(other.max) };
        (both.min <= both.max).then_some(both)
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.min, self.max)
    }
}

/// The versions of `api` that this crate encodes and decodes: every stable one up to Kafka 4.4.
#[must_use]
pub const fn supported_versions(api: ApiKey) -> VersionRange {
    api.info().versions
}

/// What the schemas say of one API.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApiInfo {
    pub(crate) name: &'static str,
    pub(crate) versions: VersionRange,
    /// The first version with compact lengths and tagged fields (KIP-482); `i16::MAX`: none.
    pub(crate) first_flexible: i16,
    /// Whether brokers serve it to clients; the others are served by controllers only.
    pub(crate) on_brokers: bool,
}

impl ApiKey {
    /// Kafka's name of the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    /// The number of the API on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Whether `version` uses compact lengths and tagged fields (KIP-482).
    #[must_use]
    pub const fn is_flexible(self, version: i16) -> bool {
        version >= self.info().first_flexible
    }

    /// Whether brokers (and not controllers alone) serve this API.
    #[must_use]
    pub const fn is_served_by_brokers(self) -> bool {
        self.info().on_brokers
    }

    /// The version of the request header before a request of `version`.
    #[must_use]
    pub const fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// The version of the response header before a response of `version`.
    ///
    /// `ApiVersions` answers always carry header version 0, because a client that asked with too new
    /// a version must be able to read the answer (KIP-511).
    #[must_use]
    pub const fn response_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) && !matches!(self, Self::ApiVersions) { 1 } else { 0 }
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The number on the wire names no API this crate knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("api key {0} is not known to this client")]
pub struct UnknownApiKey(pub i16);

macro_rules! apis {
    ($($name:ident = $key:literal, $min:literal..=$max:literal, $flexible:expr, $broker:literal;)*) => {
        /// An API of Kafka's protocol.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(i16)]
        pub enum ApiKey {
            $(
                #[doc = concat!("`", stringify!($name), "`, versions ", $min, " to ", $max, ".")]
                $name = $key,
            )*
        }

        impl ApiKey {
            /// Every API, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            pub(crate) const fn info(self) -> crate::api::ApiInfo {
                match self {
                    $(Self::$name => crate::api::ApiInfo {
                        name: stringify!($name),
                        versions: crate::api::VersionRange::new($min, $max),
                        first_flexible: $flexible,
                        on_brokers: $broker,
                    },)*
                }
            }
        }

        impl TryFrom<i16> for ApiKey {
            type Error = crate::api::UnknownApiKey;

            fn try_from(code: i16) -> Result<Self, Self::Error> {
                match code {
                    $($key => Ok(Self::$name),)*
                    _ => Err(crate::api::UnknownApiKey(code)),
                }
            }
        }
    };
}
pub(crate) use apis;
