//! Settings of topics, brokers, groups and client metrics.

mod alter;
mod describe;
mod list;
mod resource;

pub use alter::{ConfigChange, alter_configs};
pub use describe::{
    ConfigDetail, ConfigEntry, ConfigSource, ConfigSynonym, ConfigType, describe_configs,
};
pub use list::list_config_resources;
pub use resource::{ConfigKind, ConfigResource};
