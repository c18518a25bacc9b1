//! The walk of the shape guard over the bytes of one message.

use super::shape::{Field, Kind};
use crate::error::{DecodeError, Malformed};
use crate::wire::Reader;

/// A walk over a message of one version.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk {
    pub(super) version: i16,
    pub(super) flexible: bool,
}

impl Walk {
    /// Walks over a struct.
    pub(super) fn fields(
        self,
        reader: &mut Reader<'_>,
        fields: &[Field],
    ) -> Result<(), DecodeError> {
        for field in fields {
            if field.is_in_place(self.version) {
                self.field(reader, field)?;
            }
        }
        if self.flexible {
            self.tagged_fields(reader, fields)?;
        }
        Ok(())
    }

    fn field(self, reader: &mut Reader<'_>, field: &Field) -> Result<(), DecodeError> {
        self.value(reader, &field.kind, field.is_nullable(self.version))
    }

    fn value(
        self,
        reader: &mut Reader<'_>,
        kind: &Kind,
        nullable: bool,
    ) -> Result<(), DecodeError> {
        match kind {
            Kind::Fixed(length) => reader.take(usize::from(*length)).map(drop),
            Kind::String => self.string(reader, nullable),
            Kind::Bytes => {
                let at = reader.at();
                let length = reader.length(self.flexible)?;
                let Some(length) = present(length, nullable, at)? else { return Ok(()) };
                reader.announced(length, at).map(drop)
            }
            Kind::Struct(fields) => {
                if nullable && !reader.is_present()? {
                    return Ok(());
                }
                self.fields(reader, fields)
            }
            Kind::Array(element) => self.array(reader, element, nullable),
        }
    }

    fn string(self, reader: &mut Reader<'_>, nullable: bool) -> Result<(), DecodeError> {
        let at = reader.at();
        let length = reader.string_length(self.flexible)?;
        let Some(length) = present(length, nullable, at)? else { return Ok(()) };
        match std::str::from_utf8(reader.announced(length, at)?) {
            Ok(_) => Ok(()),
            Err(_) => Err(DecodeError::Malformed { at, reason: Malformed::Utf8 }),
        }
    }

    fn array(
        self,
        reader: &mut Reader<'_>,
        element: &Kind,
        nullable: bool,
    ) -> Result<(), DecodeError> {
        let at = reader.at();
        let count = reader.length(self.flexible)?;
        let Some(count) = present(count, nullable, at)? else { return Ok(()) };
        if let Kind::Fixed(length) = element {
            let bytes = (count as usize).saturating_mul(usize::from(*length));
            let left = reader.left();
            if bytes > left {
                return Err(DecodeError::Oversized { at, declared: count.into(), left });
            }
            return reader.take(bytes).map(drop);
        }
        // An entry takes a byte at least, which the generator's tests prove for every array.
        let left = reader.left();
        if count as usize > left {
            return Err(DecodeError::Oversized { at, declared: count.into(), left });
        }
        for _ in 0..count {
            self.value(reader, element, false)?;
        }
        Ok(())
    }

    fn tagged_fields(self, reader: &mut Reader<'_>, fields: &[Field]) -> Result<(), DecodeError> {
        let count = reader.tag_count()?;
        let mut last = None;
        for _ in 0..count {
            let at = reader.at();
            let (tag, mut content) = reader.tagged_field()?;
            // KIP-482: tags ascend, so that none appears twice.
            if last.is_some_and(|last| tag <= last) {
                return Err(DecodeError::Malformed { at, reason: Malformed::TagOrder });
            }
            last = Some(tag);
            let known = fields.iter().find(|field| field.is_tagged(tag, self.version));
            let Some(field) = known else { continue };
            self.field(&mut content, field)?;
            if content.left() > 0 {
                return Err(DecodeError::Malformed { at, reason: Malformed::TagSize });
            }
        }
        Ok(())
    }
}

/// The length of a value; `None` for null where that is allowed.
fn present(length: Option<u32>, nullable: bool, at: usize) -> Result<Option<u32>, DecodeError> {
    if length.is_none() && !nullable {
        return Err(DecodeError::Malformed { at, reason: Malformed::UnexpectedNull });
    }
    Ok(length)
}
