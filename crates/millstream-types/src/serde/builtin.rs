//! Java's built-in serdes: strings as UTF-8, numbers big-endian, bytes as they are.

use bytes::Bytes;
use uuid::Uuid;

use super::{DefaultSerde, Deserializer, Serde, SerdeError, Serializer};
use crate::Headers;

/// The built-in serde of the type it is used with.
#[derive(Clone, Copy, Debug)]
struct Builtin;

/// Numbers: big-endian, of fixed size (`LongSerializer` and its like).
macro_rules! number_serde {
    ($($int:ty),*) => {$(
        impl Serializer<$int> for Builtin {
            fn serialize(
                &self,
                _topic: &str,
                _headers: &mut Headers,
                value: &$int,
                out: &mut Vec<u8>,
            ) -> Result<(), SerdeError> {
                out.extend_from_slice(&value.to_be_bytes());
                Ok(())
            }

            fn fixed_size(&self) -> Option<usize> {
                Some(size_of::<$int>())
            }
        }

        impl Deserializer<$int> for Builtin {
            fn deserialize(
                &self,
                _topic: &str,
                _headers: &Headers,
                bytes: &[u8],
            ) -> Result<$int, SerdeError> {
                let array = bytes.try_into().map_err(|_| SerdeError::Length {
                    type_name: stringify!($int),
                    expected: size_of::<$int>(),
                    actual: bytes.len(),
                })?;
                Ok(<$int>::from_be_bytes(array))
            }
        }

        impl DefaultSerde for $int {
            fn default_serde() -> Serde<Self> {
                Serde::new(Builtin, Builtin)
            }
        }
    )*};
}

number_serde!(i16, i32, i64, f32, f64);

/// Everything else: how its bytes are written and how they are read.
macro_rules! bytes_serde {
    ($type:ty, $write:expr, $read:expr) => {
        impl Serializer<$type> for Builtin {
            fn serialize(
                &self,
                _topic: &str,
                _headers: &mut Headers,
                value: &$type,
                out: &mut Vec<u8>,
            ) -> Result<(), SerdeError> {
                let write: fn(&$type, &mut Vec<u8>) = $write;
                write(value, out);
                Ok(())
            }
        }

        impl Deserializer<$type> for Builtin {
            fn deserialize(
                &self,
                _topic: &str,
                _headers: &Headers,
                bytes: &[u8],
            ) -> Result<$type, SerdeError> {
                let read: fn(&[u8]) -> Result<$type, SerdeError> = $read;
                read(bytes)
            }
        }

        impl DefaultSerde for $type {
            fn default_serde() -> Serde<Self> {
                Serde::new(Builtin, Builtin)
            }
        }
    };
}

bytes_serde!(String, |value, out| out.extend_from_slice(value.as_bytes()), |bytes| read_text(
    bytes
)
.map(str::to_owned));
bytes_serde!(Vec<u8>, |value, out| out.extend_from_slice(value), |bytes| Ok(bytes.to_vec()));
bytes_serde!(Bytes, |value, out| out.extend_from_slice(value), |bytes| Ok(Bytes::copy_from_slice(
    bytes
)));
bytes_serde!(bool, |value, out| out.push(u8::from(*value)), read_bool);
// UUIDSerializer writes the text of 36 characters, not the 16 bytes.
bytes_serde!(
    Uuid,
    |value, out| out.extend_from_slice(value.hyphenated().to_string().as_bytes()),
    |bytes| Uuid::try_parse(read_text(bytes)?).map_err(SerdeError::other)
);

fn read_text(bytes: &[u8]) -> Result<&str, SerdeError> {
    std::str::from_utf8(bytes).map_err(|error| SerdeError::Utf8(error.valid_up_to()))
}

fn read_bool(bytes: &[u8]) -> Result<bool, SerdeError> {
    match bytes {
        [0] => Ok(false),
        [1] => Ok(true),
        [other] => Err(SerdeError::other(format!("a boolean is 0 or 1, not {other}"))),
        _ => Err(SerdeError::Length { type_name: "bool", expected: 1, actual: bytes.len() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: DefaultSerde + PartialEq + std::fmt::Debug>(value: T, bytes: &[u8]) {
        let serde = T::default_serde();
        let mut out = Vec::new();
        serde.serializer().serialize("t", &mut Headers::new(), &value, &mut out).unwrap();
        assert_eq!(out, bytes);
        let read = serde.deserializer().deserialize("t", &Headers::new(), bytes).unwrap();
        assert_eq!(read, value);
    }

    #[test]
    fn bytes_are_javas() {
        check(258_i64, &[0, 0, 0, 0, 0, 0, 1, 2]);
        check(-1_i32, &[255; 4]);
        check(258_i16, &[1, 2]);
        check(1.0_f64, &[0x3f, 0xf0, 0, 0, 0, 0, 0, 0]);
        check("é".to_owned(), &[0xc3, 0xa9]);
        check(true, &[1]);
        check(Uuid::nil(), b"00000000-0000-0000-0000-000000000000");
        check(vec![0_u8, 7], &[0, 7]);
    }

    #[test]
    fn wrong_bytes_are_refused() {
        let read = |bytes: &[u8]| {
            i64::default_serde().deserializer().deserialize("t", &Headers::new(), bytes)
        };
        assert_eq!(read(&[1, 2]).unwrap_err().to_string(), "i64 takes 8 bytes, not 2");
        let text =
            String::default_serde().deserializer().deserialize("t", &Headers::new(), &[b'a', 0xff]);
        assert_eq!(text.unwrap_err().to_string(), "invalid UTF-8 at byte 1");
    }
}
