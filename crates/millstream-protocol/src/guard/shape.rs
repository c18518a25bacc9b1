//! The descriptors that the guard walks: which fields a message has in which versions.

/// The fields of a struct, in the order of the wire.
pub(crate) type Fields = &'static [Field];

/// A message in all its versions.
#[derive(Debug)]
pub(crate) struct Shape {
    /// The first version with compact lengths and tagged fields; `i16::MAX`: none.
    pub(crate) first_flexible: i16,
    pub(crate) fields: Fields,
}

impl Shape {
    pub(crate) const fn new(first_flexible: i16, fields: Fields) -> Self {
        Self { first_flexible, fields }
    }
}

/// How a value lies on the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// So many bytes.
    Fixed(u8),
    String,
    /// Bytes or records: their length, then that many bytes.
    Bytes,
    Struct(Fields),
    Array(&'static Self),
}

pub(crate) const BOOL: Kind = Kind::Fixed(1);
pub(crate) const INT8: Kind = Kind::Fixed(1);
pub(crate) const INT16: Kind = Kind::Fixed(2);
pub(crate) const UINT16: Kind = Kind::Fixed(2);
pub(crate) const INT32: Kind = Kind::Fixed(4);
pub(crate) const INT64: Kind = Kind::Fixed(8);
pub(crate) const FLOAT64: Kind = Kind::Fixed(8);
pub(crate) const UUID: Kind = Kind::Fixed(16);
pub(crate) const STRING: Kind = Kind::String;
pub(crate) const BYTES: Kind = Kind::Bytes;
pub(crate) const RECORDS: Kind = Kind::Bytes;

pub(crate) const fn part(fields: Fields) -> Kind {
    Kind::Struct(fields)
}

pub(crate) const fn array(element: &'static Kind) -> Kind {
    Kind::Array(element)
}

/// A range of versions; empty where the first is above the last.
#[derive(Debug, Clone, Copy)]
struct Range {
    first: i8,
    last: i8,
}

impl Range {
    const NONE: Self = Self { first: 0, last: -1 };

    const fn contains(self, version: i16) -> bool {
        self.first as i16 <= version && version <= self.last as i16
    }
}

/// A field of a struct.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) kind: Kind,
    versions: Range,
    nullable: Range,
    tagged: Range,
    pub(crate) tag: u8,
}

/// A field that exists from version `since` on.
pub(crate) const fn field(kind: Kind, since: i8) -> Field {
    Field {
        kind,
        versions: Range { first: since, last: i8::MAX },
        nullable: Range::NONE,
        tagged: Range::NONE,
        tag: 0,
    }
}

impl Field {
    /// The field exists up to version `last` only.
    pub(crate) const fn until(mut self, last: i8) -> Self {
        self.versions.last = last;
        self
    }

    /// The field may be null in the versions from `first` to `last`.
    pub(crate) const fn nullable(mut self, first: i8, last: i8) -> Self {
        self.nullable = Range { first, last };
        self
    }

    /// From version `first` on the field is a tagged one.
    pub(crate) const fn tagged(mut self, tag: u8, first: i8) -> Self {
        self.tag = tag;
        self.tagged = Range { first, last: self.versions.last };
        self
    }

    /// Whether the field stands in its place in `version`.
    pub(crate) const fn is_in_place(&self, version: i16) -> bool {
        self.versions.contains(version) && !self.tagged.contains(version)
    }

    /// Whether the field is the tagged one with `tag` in `version`.
    pub(crate) const fn is_tagged(&self, tag: u32, version: i16) -> bool {
        self.tag as u32 == tag && self.tagged.contains(version)
    }

    pub(crate) const fn is_nullable(&self, version: i16) -> bool {
        self.nullable.contains(version)
    }
}
