//! The sled engine behind Millstream's state stores.
