//! The published JSON-LD form ↔ rows: a plain array of objects of strings, one object a row, every object with the same keys.
//!
//! Written as Python's `json.dump(rows, file, indent=4)` writes it, which is how the published file was made; read in any layout.
//! Both ways one object at a time, because the published file has 2 GB.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::dataset::record::{Columns, StringRecord};
use crate::dataset::table::{ReadRows, WriteRows};
use crate::error::{Error, IoContext, Result};

/// Reads objects one at a time.
pub struct Reader {
    path: PathBuf,
    columns: Columns,
    file: BufReader<File>,
    /// The first object, which was read for its keys and not handed out yet.
    first: Option<Object>,
    number: u64,
}

impl Reader {
    /// Reads up to the end of the first object, whose keys are the columns.
    pub fn open(path: &Path, file: File) -> Result<Self> {
        let mut file = BufReader::with_capacity(1 << 20, file);
        expect(path, &mut file, b'[', "the file does not begin with `[`")?;
        let first = match next_token(path, &mut file)? {
            Some(b'{') => Object::read(path, &mut file, 1)?,
            _ => return Err(Error::input(path, "the array holds no object, so there are no columns")),
        };
        let names = first.0.iter().map(|(key, _)| key.clone()).collect();
        Ok(Self { path: path.to_owned(), columns: Columns::new(path, names)?, file, first: Some(first), number: 0 })
    }

    fn next(&mut self) -> Result<Option<Object>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        match next_token(&self.path, &mut self.file)? {
            Some(b']') => Ok(None),
            Some(b',') => {
                self.file.consume(1);
                next_token(&self.path, &mut self.file)?;
                Object::read(&self.path, &mut self.file, self.number).map(Some)
            }
            Some(_) => Err(Error::input(&self.path, format!("no `,` behind object {}", self.number - 1))),
            None => Err(Error::input(&self.path, format!("the file ends behind object {}, without `]`", self.number - 1))
                .with_help("it was cut short: copy it again")),
        }
    }
}

impl ReadRows for Reader {
    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn read(&mut self, row: &mut StringRecord) -> Result<bool> {
        self.number += 1;
        row.clear();
        let Some(Object(cells)) = self.next()? else { return Ok(false) };
        let names = self.columns.names();
        // The usual case: the same keys in the same order.
        if cells.iter().map(|(key, _)| key).eq(names) {
            cells.iter().for_each(|(_, value)| row.push_field(value));
            return Ok(true);
        }
        if let Some((key, _)) = cells.iter().find(|(key, _)| !names.contains(key)) {
            return Err(Error::input(&self.path, format!("object {} has the key `{key}`, the first has not", self.number)));
        }
        for name in names {
            match cells.iter().find(|(key, _)| key == name) {
                Some((_, value)) => row.push_field(value),
                None => return Err(Error::input(&self.path, format!("object {} has no key `{name}`", self.number))),
            }
        }
        Ok(true)
    }

    fn place(&self) -> String {
        format!("object {}", self.number)
    }
}

/// The next byte that is not white space, left in place.
fn next_token(path: &Path, file: &mut BufReader<File>) -> Result<Option<u8>> {
    loop {
        match file.fill_buf().at("read", path)?.first().copied() {
            Some(space) if space.is_ascii_whitespace() => file.consume(1),
            other => return Ok(other),
        }
    }
}

fn expect(path: &Path, file: &mut BufReader<File>, token: u8, otherwise: &str) -> Result<()> {
    if next_token(path, file)? != Some(token) {
        return Err(
            Error::input(path, otherwise).with_help("the published form is a plain array of objects: [{\"sampleid\": …}, …]")
        );
    }
    file.consume(1);
    Ok(())
}

/// Keys and values in the order of the text.
struct Object(Vec<(String, String)>);

impl Object {
    fn read(path: &Path, file: &mut BufReader<File>, number: u64) -> Result<Self> {
        // An object ends with its own brace, so the parser takes not a byte more than it.
        Self::deserialize(&mut serde_json::Deserializer::from_reader(file))
            .map_err(|error| Error::input(path, format!("object {number}: {error}")))
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Cells;
        impl<'de> Visitor<'de> for Cells {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut cells = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, Cell>()? {
                    cells.push((key, value.0));
                }
                Ok(Object(cells))
            }
        }
        deserializer.deserialize_map(Cells)
    }
}

/// A value as the text of a cell; the published ones are strings, but other writers leave numbers as they are.
struct Cell(String);

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde_json::Value;
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            Value::Null => Ok(Self(String::new())),
            value @ (Value::Number(_) | Value::Bool(_)) => Ok(Self(value.to_string())),
            Value::Array(_) | Value::Object(_) => Err(serde::de::Error::custom("a value is a list or an object, not a string")),
        }
    }
}

/// Writes objects one at a time.
pub struct Writer<'a> {
    path: PathBuf,
    out: &'a mut BufWriter<File>,
    /// Each key as it stands in the file, indented and quoted, with the colon.
    keys: Vec<String>,
    rows: u64,
}

impl<'a> Writer<'a> {
    /// Writes nothing yet.
    pub fn new(path: &Path, out: &'a mut BufWriter<File>, columns: &[String]) -> Self {
        let keys = columns.iter().map(|name| format!("\n        {}: ", quoted(name))).collect();
        Self { path: path.to_owned(), out, keys, rows: 0 }
    }
}

impl WriteRows for Writer<'_> {
    fn write(&mut self, row: &StringRecord) -> Result<()> {
        let mut text = String::from(if self.rows == 0 { "[\n    {" } else { ",\n    {" });
        for (index, (key, cell)) in self.keys.iter().zip(row).enumerate() {
            text.push_str(if index == 0 { "" } else { "," });
            text.push_str(key);
            text.push_str(&quoted(cell));
        }
        text.push_str("\n    }");
        self.rows += 1;
        self.out.write_all(text.as_bytes()).at("write", &self.path)
    }

    fn finish(&mut self) -> Result<()> {
        self.out.write_all(if self.rows == 0 { b"[]" } else { b"\n]" }).at("write", &self.path)
    }
}

/// A JSON string as Python writes it: everything outside printable ASCII is escaped, in UTF-16 units.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            ' '..='~' => quoted.push(c),
            _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| quoted.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::table;

    fn convert(text: &str) -> Result<String> {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("m.jsonld"), folder.path().join("m.csv"));
        std::fs::write(&from, text).unwrap();
        table::convert(&from, &to)?;
        Ok(std::fs::read_to_string(to).unwrap())
    }

    #[test]
    fn a_string_is_escaped_as_python_does() {
        // json.dumps('a"\\\té😀\x7f')
        assert_eq!(quoted("a\"\\\té😀\u{7f}"), r#""a\"\\\t\u00e9\ud83d\ude00\u007f""#);
    }

    #[test]
    fn the_layout_is_that_of_json_dump_with_indent_4() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.jsonld");
        let columns = ["a".to_owned(), "b".to_owned()];
        table::write(&path, &columns, |out| {
            out.write(&StringRecord::from(vec!["1", "2"]))?;
            out.write(&StringRecord::from(vec!["3", ""]))
        })
        .unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "[\n    {\n        \"a\": \"1\",\n        \"b\": \"2\"\n    },\n    {\n        \"a\": \"3\",\n        \"b\": \"\"\n    }\n]"
        );
        table::write(&path, &columns, |_| Ok(())).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[]");
    }

    #[test]
    fn any_layout_is_read_keys_in_any_order_numbers_as_they_are_written() {
        assert_eq!(convert(r#" [{"a":"x","b":7} , {"b":null,"a":"\u00e9"}]"#).unwrap(), "a,b\nx,7\né,\n");
    }

    #[test]
    fn a_fault_is_named_by_its_object() {
        let fault = |text| convert(text).unwrap_err().to_string().split_once(": ").unwrap().1.to_owned();
        assert_eq!(fault(r#"{"a":"1"}"#), "the file does not begin with `[`");
        assert_eq!(fault(r#"[{"a":"1"},{"b":"1"}]"#), "object 2 has the key `b`, the first has not");
        assert_eq!(fault(r#"[{"a":"1","b":"2"},{"b":"1"}]"#), "object 2 has no key `a`");
        assert_eq!(fault(r#"[{"a":"1"}"#), "the file ends behind object 1, without `]`");
        assert!(fault(r#"[{"a":"1"},{"a":["#).starts_with("object 2: "));
    }
}
