//! Kafka's words as enums: those that stand as text in messages, those that stand as numbers.

/// A word that is none of those it could be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is not one of {legal}")]
pub struct UnknownWord {
    /// The word.
    pub word: String,
    /// What it could be.
    pub legal: String,
}

impl UnknownWord {
    pub(super) fn new(word: &str, legal: &[&str]) -> Self {
        Self { word: word.to_owned(), legal: legal.join(", ") }
    }
}

/// Declares an enum of words that answers hold as text.
macro_rules! texts {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$word_doc])* $word,)*
            /// One that this client does not know, as the broker spells it.
            Other(String),
        }

        impl $name {
            pub(in crate::admin) fn read(text: &str) -> Self {
                text.parse().unwrap_or_else(|_| Self::Other(text.to_owned()))
            }
        }

        /// Reads Kafka's spelling, in capitals or not.
        impl std::str::FromStr for $name {
            type Err = crate::admin::UnknownWord;

            fn from_str(text: &str) -> Result<Self, crate::admin::UnknownWord> {
                $(if text.eq_ignore_ascii_case($text) {
                    return Ok(Self::$word);
                })*
                Err(crate::admin::UnknownWord::new(text, &[$($text),*]))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(Self::$word => $text,)*
                    Self::Other(text) => text,
                })
            }
        }
    };
}

/// Declares an enum of the words that rules are made of, with their numbers and Kafka's spelling.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $code:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$word_doc])* $word,)*
            /// One that this client does not know, by its number.
            Other(i8),
        }

        impl $name {
            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> i8 {
                match self {
                    $(Self::$word => $code,)*
                    Self::Other(code) => code,
                }
            }

            /// The word of a number on the wire.
            #[must_use]
            pub const fn read(code: i8) -> Self {
                match code {
                    $($code => Self::$word,)*
                    code => Self::Other(code),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $(Self::$word => f.write_str($text),)*
                    Self::Other(code) => write!(f, "UNKNOWN({code})"),
                }
            }
        }

        /// Reads Kafka's spelling, in capitals or not.
        impl std::str::FromStr for $name {
            type Err = crate::admin::UnknownWord;

            fn from_str(text: &str) -> Result<Self, crate::admin::UnknownWord> {
                $(if text.eq_ignore_ascii_case($text) {
                    return Ok(Self::$word);
                })*
                Err(crate::admin::UnknownWord::new(text, &[$($text),*]))
            }
        }
    };
}

/// Spells the words of an enum as Kafka does, and reads them.
macro_rules! spelled {
    ($name:ident { $($word:ident = $text:literal),* $(,)? }) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(Self::$word => $text,)*
                })
            }
        }

        /// Reads Kafka's spelling, in capitals or not.
        impl std::str::FromStr for $name {
            type Err = crate::admin::UnknownWord;

            fn from_str(text: &str) -> Result<Self, crate::admin::UnknownWord> {
                $(if text.eq_ignore_ascii_case($text) {
                    return Ok(Self::$word);
                })*
                Err(crate::admin::UnknownWord::new(text, &[$($text),*]))
            }
        }
    };
}

pub(super) use {spelled, texts, words};
