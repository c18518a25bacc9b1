//! The codecs of a producer: one for all topics, others for some, each with its idle contexts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use millstream_protocol::compression::{Compression, CompressionError, Compressor};
use millstream_types::TopicName;

use super::config::{ProducerConfig, ProducerConfigError};

/// What one topic's batches are compressed with; what is not said is as for all topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopicCompression {
    /// The codec.
    pub codec: Option<Compression>,
    /// Its level.
    pub level: Option<i32>,
}

/// A codec at a level, and contexts that wait to be used again.
#[derive(Debug)]
pub(crate) struct Codec {
    pub(crate) compression: Compression,
    level: Option<i32>,
    idle: Mutex<Vec<Compressor>>,
}

impl Codec {
    fn new(compression: Compression, level: Option<i32>) -> Result<Self, CompressionError> {
        let codec = Self { compression, level, idle: Mutex::default() };
        // A level that the codec does not have shows here.
        let compressor = codec.make()?;
        codec.put_back(compressor);
        Ok(codec)
    }

    fn make(&self) -> Result<Compressor, CompressionError> {
        match self.level {
            None => Ok(Compressor::new(self.compression)),
            Some(level) => Compressor::with_level(self.compression, level),
        }
    }

    /// Whether compressing takes so long that neither callers nor the driver should do it.
    pub(crate) const fn is_slow(&self) -> bool {
        matches!(self.compression, Compression::Gzip | Compression::Zstd)
    }

    /// A context to compress with.
    pub(crate) fn take(&self) -> Compressor {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        // The level was tried when the codec was made.
        idle.unwrap_or_else(|| self.make().unwrap_or_else(|_| Compressor::new(self.compression)))
    }

    /// Gives a context back. There are never more than threads that compress.
    pub(crate) fn put_back(&self, compressor: Compressor) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(compressor);
    }
}

/// The codec of each topic.
#[derive(Debug)]
pub(crate) struct Codecs {
    usual: Arc<Codec>,
    by_topic: BTreeMap<TopicName, Arc<Codec>>,
}

impl Codecs {
    /// The codecs that `config` names.
    ///
    /// # Errors
    /// A codec does not have the level it is to have.
    pub(crate) fn new(config: &ProducerConfig) -> Result<Self, ProducerConfigError> {
        let usual = Codec::new(config.compression, config.compression_level)?;
        let mut by_topic = BTreeMap::new();
        for (topic, own) in &config.topic_compression {
            let compression = own.codec.unwrap_or(config.compression);
            // The level for all topics means something for their codec only.
            let usual = config.compression_level.filter(|_| compression == config.compression);
            let codec = Codec::new(compression, own.level.or(usual)).map_err(|error| {
                ProducerConfigError::TopicCompression { topic: topic.clone(), error }
            })?;
            by_topic.insert(topic.clone(), Arc::new(codec));
        }
        Ok(Self { usual: Arc::new(usual), by_topic })
    }

    /// The codec of a topic.
    pub(crate) fn of(&self, topic: &TopicName) -> Arc<Codec> {
        Arc::clone(self.by_topic.get(topic).unwrap_or(&self.usual))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(level: Option<i32>, topic: TopicCompression) -> ProducerConfig {
        ProducerConfig {
            compression: Compression::Gzip,
            compression_level: level,
            topic_compression: BTreeMap::from([("own".into(), topic)]),
            ..ProducerConfig::default()
        }
    }

    #[test]
    fn a_topic_has_its_own_codec_or_level() {
        let lz4 = TopicCompression { codec: Some(Compression::Lz4), level: None };
        let codecs = Codecs::new(&config(Some(2), lz4)).unwrap();
        let own = codecs.of(&"own".into());
        assert_eq!((own.compression, own.level), (Compression::Lz4, None));
        let other = codecs.of(&"other".into());
        assert_eq!((other.compression, other.level), (Compression::Gzip, Some(2)));

        let level = TopicCompression { codec: None, level: Some(9) };
        let own = Codecs::new(&config(Some(2), level)).unwrap().of(&"own".into());
        assert_eq!((own.compression, own.level), (Compression::Gzip, Some(9)));
    }

    #[test]
    fn a_level_that_a_codec_does_not_have_is_refused_by_name() {
        let snappy = TopicCompression { codec: Some(Compression::Snappy), level: Some(1) };
        let error = Codecs::new(&config(None, snappy)).unwrap_err().to_string();
        assert!(error.contains("topic own") && error.contains("snappy"), "{error}");
        let gzip = TopicCompression { codec: None, level: Some(10) };
        let error = Codecs::new(&config(None, gzip)).unwrap_err().to_string();
        assert!(error.contains("level 10") && error.contains("1 to 9"), "{error}");
    }
}
