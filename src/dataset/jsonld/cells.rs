//! The text of one object → its cells.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::dataset::record::StringRecord;

/// Keys and values in the order of the text.
pub(super) fn cells_of(object: &[u8]) -> serde_json::Result<Vec<(String, String)>> {
    struct Cells;
    impl<'de> Visitor<'de> for Cells {
        type Value = Vec<(String, String)>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("an object of strings")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut cells = Vec::new();
            while let Some(key) = map.next_key()? {
                let mut value = String::new();
                map.next_value_seed(Cell(|text: &str| value.push_str(text)))?;
                cells.push((key, value));
            }
            Ok(cells)
        }
    }
    serde_json::Deserializer::from_slice(object).deserialize_map(Cells)
}

/// Reads an object whose keys are `names` in their order straight into a row; `false` where they are others, and then the row is void.
pub(super) struct RowOf<'a> {
    pub names: &'a [String],
    pub row: &'a mut StringRecord,
}

impl<'de> DeserializeSeed<'de> for RowOf<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowOf<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut names = self.names.iter();
        while let Some(expected) = map.next_key_seed(Is(names.next()))? {
            if !expected {
                map.next_value::<IgnoredAny>()?;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(false);
            }
            map.next_value_seed(Cell(|text: &str| self.row.push_field(text)))?;
        }
        Ok(names.next().is_none())
    }
}

/// Whether a key is the expected one.
struct Is<'a>(Option<&'a String>);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<bool, E> {
        Ok(self.0.is_some_and(|expected| expected == key))
    }
}

/// Hands on a value as the text of a cell; the published ones are strings, but other writers leave numbers as they are.
struct Cell<F>(F);

impl<'de, F: FnOnce(&str)> DeserializeSeed<'de> for Cell<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<F: FnOnce(&str)> Cell<F> {
    fn take<E>(self, text: Cow<str>) -> Result<(), E> {
        (self.0)(&text);
        Ok(())
    }
}

impl<F: FnOnce(&str)> Visitor<'_> for Cell<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string, a number or null")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.take(text.into())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.take("".into())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.take(value.to_string().into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.take(value.to_string().into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.take(value.to_string().into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        // `{:?}` writes floats as Python does: 1.0 keeps its dot.
        self.take(format!("{value:?}").into())
    }
}
