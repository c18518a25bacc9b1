//! How a record is printed: a format line in kcat's manner, or a JSON object.

use std::io::{self, Write};

use millstream_client::RecordView;
use millstream_types::{PartitionId, TopicName};
use serde_json::json;

use crate::error::Failure;

/// How to print records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Pieces of text and fields, in order.
    Line(Vec<Piece>),
    /// A JSON object on a line.
    Json,
}

/// A piece of a format line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(Vec<u8>),
    /// `%k`; nothing for a null key.
    Key,
    /// `%v`; nothing for a null value.
    Value,
    /// `%t`
    Topic,
    /// `%p`
    Partition,
    /// `%o`
    Offset,
    /// `%T`: milliseconds since the epoch.
    Timestamp,
    /// `%h`: `name=value` with commas between.
    Headers,
}

impl Format {
    /// Reads a format: `json`, or text with `%k %v %t %p %o %T %h %%` and `\n \t \r \\ \0`.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        if text == "json" {
            return Ok(Self::Json);
        }
        let mut pieces = Vec::new();
        let mut plain = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '%' => {
                    let Some(field) = field(chars.next())? else {
                        plain.push(b'%');
                        continue;
                    };
                    push_text(&mut pieces, &mut plain);
                    pieces.push(field);
                }
                '\\' => plain.push(escaped(chars.next())?),
                other => plain.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        push_text(&mut pieces, &mut plain);
        Ok(Self::Line(pieces))
    }

    /// Prints a record.
    pub(crate) fn write(
        &self,
        out: &mut impl Write,
        topic: &TopicName,
        partition: PartitionId,
        record: &RecordView<'_>,
    ) -> io::Result<()> {
        match self {
            Self::Line(pieces) => pieces
                .iter()
                .try_for_each(|piece| write_piece(out, piece, topic, partition, record)),
            Self::Json => {
                let text =
                    |bytes: Option<&[u8]>| bytes.map(|b| String::from_utf8_lossy(b).into_owned());
                let headers: Vec<_> = record
                    .headers()
                    .map(|h| json!({"key": String::from_utf8_lossy(h.key), "value": text(h.value)}))
                    .collect();
                let object = json!({
                    "topic": topic.as_str(),
                    "partition": partition.value(),
                    "offset": record.offset().value(),
                    "timestamp": record.timestamp().value(),
                    "key": text(record.key()),
                    "value": text(record.value()),
                    "headers": headers,
                });
                writeln!(out, "{object}")
            }
        }
    }
}

fn write_piece(
    out: &mut impl Write,
    piece: &Piece,
    topic: &TopicName,
    partition: PartitionId,
    record: &RecordView<'_>,
) -> io::Result<()> {
    match piece {
        Piece::Text(text) => out.write_all(text),
        Piece::Key => out.write_all(record.key().unwrap_or_default()),
        Piece::Value => out.write_all(record.value().unwrap_or_default()),
        Piece::Topic => write!(out, "{topic}"),
        Piece::Partition => write!(out, "{partition}"),
        Piece::Offset => write!(out, "{}", record.offset()),
        Piece::Timestamp => write!(out, "{}", record.timestamp()),
        Piece::Headers => {
            for (index, header) in record.headers().enumerate() {
                if index > 0 {
                    out.write_all(b",")?;
                }
                out.write_all(header.key)?;
                out.write_all(b"=")?;
                out.write_all(header.value.unwrap_or_default())?;
            }
            Ok(())
        }
    }
}

fn field(c: Option<char>) -> Result<Option<Piece>, Failure> {
    Ok(Some(match c {
        Some('k') => Piece::Key,
        Some('v') => Piece::Value,
        Some('t') => Piece::Topic,
        Some('p') => Piece::Partition,
        Some('o') => Piece::Offset,
        Some('T') => Piece::Timestamp,
        Some('h') => Piece::Headers,
        Some('%') => return Ok(None),
        Some(other) => {
            let text =
                format!("`%{other}` is no field: use %k %v %t %p %o %T %h, or %% for itself");
            return Err(Failure::new(text));
        }
        None => return Err(Failure::new("the format ends in `%`: write %% for itself")),
    }))
}

fn escaped(c: Option<char>) -> Result<u8, Failure> {
    match c {
        Some('n') => Ok(b'\n'),
        Some('t') => Ok(b'\t'),
        Some('r') => Ok(b'\r'),
        Some('0') => Ok(0),
        Some('\\') => Ok(b'\\'),
        Some(other) => {
            Err(Failure::new(format!("`\\{other}` is no escape: use \\n \\t \\r \\0 \\\\")))
        }
        None => Err(Failure::new("the format ends in a backslash: write \\\\ for itself")),
    }
}

fn push_text(pieces: &mut Vec<Piece>, plain: &mut Vec<u8>) {
    if !plain.is_empty() {
        pieces.push(Piece::Text(std::mem::take(plain)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read() {
        let text = |text: &str| Piece::Text(text.as_bytes().to_vec());
        let expected = vec![Piece::Key, text("\t100% "), Piece::Value, text("\n")];
        assert_eq!(Format::parse(r"%k\t100%% %v\n").ok(), Some(Format::Line(expected)));
        assert_eq!(Format::parse("json").ok(), Some(Format::Json));
    }

    #[test]
    fn what_is_no_format_is_refused() {
        for format in ["%x", "%", r"\q", r"a\"] {
            assert!(Format::parse(format).is_err(), "{format}");
        }
    }
}
