//! What one process of ours tells another of the same program, in as few bytes as it takes: values one
//! after the other, without names.
//!
//! Both ends are one image of the program, so that they agree on every type; whoever else reads or may be
//! of another version is told JSON. Reading JSON knows each field by its name, in any order and perhaps
//! missing: code for each type that nobody here needs.
//!
//! | value | bytes |
//! | --- | --- |
//! | integer, truth value, which variant, whether there is one, how many follow | seven bits a byte, the lowest first; the highest bit says that more follow |
//! | text | how many bytes, the bytes |
//! | structure, tuple, variant | its parts |
//! | list | how many, the items |
//!
//! There are no fractions, single characters or maps: who needs one adds it.

use std::fmt::{self, Display};

use serde::de::{self, DeserializeSeed, IntoDeserializer as _, Visitor};
use serde::{Deserialize, Serialize, forward_to_deserialize_any, ser};

/// An error that is one text, whatever serde has to say of it.
macro_rules! error {
    ($(#[$doc:meta])* $name:ident of $side:ident: $text:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name;

        impl Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($text)
            }
        }

        impl std::error::Error for $name {}

        impl $side::Error for $name {
            fn custom<T: Display>(_: T) -> Self {
                Self
            }
        }
    };
}

error! {
    /// What was to be told has no form here.
    NoForm of ser: "a path in it is not UTF-8; give the folder another name"
}

error! {
    /// What came has not the form of what was expected.
    Unfit of de: "it is not what this version of lockkeeper says to itself"
}

/// The bytes for `value`. Fails for a path that is no text, and for what has no form here.
pub fn pack(value: &impl Serialize) -> Result<Vec<u8>, NoForm> {
    let mut packer = Packer(Vec::new());
    value.serialize(&mut packer)?;
    Ok(packer.0)
}

/// What [`pack`] made `bytes` of. Fails where they are not of that type, or more than one value.
pub fn unpack<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Unfit> {
    let mut rest = Unpacker(bytes);
    let value = T::deserialize(&mut rest)?;
    rest.0.is_empty().then_some(value).ok_or(Unfit)
}

struct Packer(Vec<u8>);

impl Packer {
    fn number(&mut self, mut number: u64) {
        loop {
            let [low, ..] = number.to_le_bytes();
            number >>= 7;
            if number == 0 {
                return self.0.push(low & 0x7f);
            }
            self.0.push(low | 0x80);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }
}

/// Methods of a serializer that write their argument as a number.
macro_rules! numbers {
    ($($method:ident($type:ty) $convert:expr;)*) => {
        $(fn $method(self, value: $type) -> Result<(), NoForm> {
            self.number($convert(value));
            Ok(())
        })*
    };
}

impl ser::Serializer for &mut Packer {
    type Ok = ();
    type Error = NoForm;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = ser::Impossible<(), NoForm>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    numbers! {
        serialize_bool(bool) u64::from;
        serialize_u8(u8) u64::from;
        serialize_u16(u16) u64::from;
        serialize_u32(u32) u64::from;
        serialize_u64(u64) u64::from;
        serialize_i8(i8) |value| i64::from(value).cast_unsigned();
        serialize_i16(i16) |value| i64::from(value).cast_unsigned();
        serialize_i32(i32) |value| i64::from(value).cast_unsigned();
        serialize_i64(i64) i64::cast_unsigned;
    }

    fn serialize_f32(self, _: f32) -> Result<(), NoForm> {
        Err(NoForm)
    }

    fn serialize_f64(self, _: f64) -> Result<(), NoForm> {
        Err(NoForm)
    }

    fn serialize_char(self, _: char) -> Result<(), NoForm> {
        Err(NoForm)
    }

    fn serialize_str(self, text: &str) -> Result<(), NoForm> {
        self.bytes(text.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), NoForm> {
        self.bytes(bytes);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), NoForm> {
        self.number(0);
        Ok(())
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), NoForm> {
        self.number(1);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), NoForm> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), NoForm> {
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
    ) -> Result<(), NoForm> {
        self.number(index.into());
        Ok(())
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), NoForm> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), NoForm> {
        self.number(index.into());
        value.serialize(self)
    }

    fn serialize_seq(self, count: Option<usize>) -> Result<Self, NoForm> {
        self.number(count.ok_or(NoForm)? as u64);
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, NoForm> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, NoForm> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, NoForm> {
        self.number(index.into());
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, NoForm> {
        Err(NoForm)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, NoForm> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, NoForm> {
        self.number(index.into());
        Ok(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The traits of what has parts: each part is written behind the one before, and nothing at the end.
macro_rules! parts {
    ($($kind:ident $method:ident($($name:ident: $type:ty)?);)*) => {
        $(impl ser::$kind for &mut Packer {
            type Ok = ();
            type Error = NoForm;

            fn $method<T: ?Sized + Serialize>(
                &mut self,
                $($name: $type,)?
                value: &T,
            ) -> Result<(), NoForm> {
                value.serialize(&mut **self)
            }

            fn end(self) -> Result<(), NoForm> {
                Ok(())
            }
        })*
    };
}

parts! {
    SerializeSeq serialize_element();
    SerializeTuple serialize_element();
    SerializeTupleStruct serialize_field();
    SerializeTupleVariant serialize_field();
    SerializeStruct serialize_field(_name: &'static str);
    SerializeStructVariant serialize_field(_name: &'static str);
}

/// What is still to be read.
struct Unpacker<'de>(&'de [u8]);

impl<'de> Unpacker<'de> {
    fn number(&mut self) -> Result<u64, Unfit> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Unfit)?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Unfit)
    }

    fn count(&mut self) -> Result<usize, Unfit> {
        usize::try_from(self.number()?).map_err(|_| Unfit)
    }

    fn bytes(&mut self) -> Result<&'de [u8], Unfit> {
        let count = self.count()?;
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(Unfit)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<&'de str, Unfit> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Unfit)
    }
}

/// So many values one after the other.
struct Parts<'a, 'de> {
    from: &'a mut Unpacker<'de>,
    left: usize,
}

impl<'de> de::SeqAccess<'de> for Parts<'_, 'de> {
    type Error = Unfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Unfit> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        seed.deserialize(&mut *self.from).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// Methods of a deserializer that read a number.
macro_rules! read_numbers {
    ($($method:ident $visit:ident $convert:expr;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
            visitor.$visit($convert(self.number()?))
        })*
    };
}

impl<'de> de::Deserializer<'de> for &mut Unpacker<'de> {
    type Error = Unfit;

    read_numbers! {
        deserialize_bool visit_bool |number| number != 0;
        deserialize_u8 visit_u64 u64::from;
        deserialize_u16 visit_u64 u64::from;
        deserialize_u32 visit_u64 u64::from;
        deserialize_u64 visit_u64 u64::from;
        deserialize_i8 visit_i64 u64::cast_signed;
        deserialize_i16 visit_i64 u64::cast_signed;
        deserialize_i32 visit_i64 u64::cast_signed;
        deserialize_i64 visit_i64 u64::cast_signed;
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_borrowed_bytes(self.bytes()?)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_borrowed_bytes(self.bytes()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.number()? {
            0 => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        let left = self.count()?;
        visitor.visit_seq(Parts { from: self, left })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        left: usize,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        visitor.visit_seq(Parts { from: self, left })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        left: usize,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.deserialize_tuple(left, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.deserialize_tuple(fields.len(), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        visitor.visit_enum(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Unfit> {
        Err(Unfit)
    }

    forward_to_deserialize_any! { f32 f64 char map identifier ignored_any }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl<'de> de::EnumAccess<'de> for &mut Unpacker<'de> {
    type Error = Unfit;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Unfit> {
        let index = self.number()?;
        let variant: de::value::U64Deserializer<Unfit> = index.into_deserializer();
        Ok((seed.deserialize(variant)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for &mut Unpacker<'de> {
    type Error = Unfit;

    fn unit_variant(self) -> Result<(), Unfit> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Unfit> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, left: usize, visitor: V) -> Result<V::Value, Unfit> {
        de::Deserializer::deserialize_tuple(self, left, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        de::Deserializer::deserialize_tuple(self, fields.len(), visitor)
    }
}

#[cfg(test)]
mod tests;
