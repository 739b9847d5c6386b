//! The published JSON-LD form ↔ rows: a plain array of objects of strings, one object a row, every object with the same keys.
//!
//! Written as Python's `json.dump(rows, file, indent=4)` writes it, which is how the published file was made; read in any layout.
//! Both ways one object at a time, because the published file has 2 GB; an object longer than [`LONGEST_ROW`] is refused.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::dataset::record::{Columns, StringRecord};
use crate::dataset::table::{LONGEST_ROW, ReadRows, WriteRows};
use crate::error::{Error, IoContext, Result};

/// Reads objects one at a time.
pub struct Reader {
    columns: Columns,
    source: Source,
    /// The text of the object read last; at first of the one that was read for its keys and not handed out yet.
    object: Vec<u8>,
    /// Where it begins in the file.
    start: u64,
    number: u64,
}

impl Reader {
    /// Reads up to the end of the first object, whose keys are the columns.
    pub fn open(path: &Path, file: File) -> Result<Self> {
        let mut source = Source { path: path.to_owned(), file: BufReader::with_capacity(1 << 20, file), offset: 0 };
        source.skip_byte_order_mark()?;
        if source.next_token()? != Some(b'[') {
            return Err(source
                .fault(source.offset, "the file does not begin with `[`")
                .with_help("the published form is a plain array of objects: [{\"sampleid\": …}, …]"));
        }
        source.consume(1);
        if source.next_token()? != Some(b'{') {
            return Err(source.fault(source.offset, "the array holds no object, so there are no columns"));
        }
        let mut object = Vec::new();
        let start = source.take_object(&mut object, 1)?;
        let cells = cells_of(&object).map_err(|error| source.syntax(1, start, &object, &error))?;
        let names = cells.into_iter().map(|(key, _)| key).collect();
        Ok(Self { columns: Columns::new(path, names)?, source, object, start, number: 0 })
    }

    /// Takes the next object's text; `false` behind the last.
    fn next(&mut self) -> Result<bool> {
        let before = self.number - 1;
        match self.source.next_token()? {
            Some(b']') => return Ok(false),
            Some(b',') => self.source.consume(1),
            Some(_) => return Err(self.source.fault(self.source.offset, format!("no `,` behind object {before}"))),
            None => return Err(self.source.cut_short(format!("the file ends behind object {before}, without `]`"))),
        }
        if self.source.next_token()? != Some(b'{') {
            return Err(self.source.fault(self.source.offset, format!("no object behind the `,` of object {before}")));
        }
        self.start = self.source.take_object(&mut self.object, self.number)?;
        Ok(true)
    }

    /// The cells of an object whose keys are not those of the first in the same order.
    fn reorder(&self, row: &mut StringRecord) -> Result<()> {
        let cells = cells_of(&self.object).map_err(|error| self.source.syntax(self.number, self.start, &self.object, &error))?;
        let (names, number) = (self.columns.names(), self.number);
        let fault = |what: String| Err(self.source.fault(self.start, format!("object {number} has {what}")));
        if let Some((key, _)) = cells.iter().find(|(key, _)| !names.contains(key)) {
            return fault(format!("the key `{key}`, the first has not"));
        }
        row.clear();
        for name in names {
            let mut of_name = cells.iter().filter(|(key, _)| key == name);
            match (of_name.next(), of_name.next()) {
                (Some((_, value)), None) => row.push_field(value),
                (Some(_), Some(_)) => return fault(format!("the key `{name}` twice")),
                (None, _) => return fault(format!("no key `{name}`")),
            }
        }
        Ok(())
    }
}

impl ReadRows for Reader {
    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn read(&mut self, row: &mut StringRecord) -> Result<bool> {
        self.number += 1;
        row.clear();
        if self.number > 1 && !self.next()? {
            return Ok(false);
        }
        let mut text = serde_json::Deserializer::from_slice(&self.object);
        match (RowOf { names: self.columns.names(), row }).deserialize(&mut text) {
            Ok(true) => Ok(true),
            Ok(false) => self.reorder(row).map(|()| true),
            Err(error) => Err(self.source.syntax(self.number, self.start, &self.object, &error)),
        }
    }

    fn place(&self) -> String {
        format!("object {}", self.number)
    }
}

/// A file of text with the number of bytes taken from it.
struct Source {
    path: PathBuf,
    file: BufReader<File>,
    offset: u64,
}

impl Source {
    fn consume(&mut self, count: usize) {
        self.file.consume(count);
        self.offset += count as u64;
    }

    fn skip_byte_order_mark(&mut self) -> Result<()> {
        if self.file.fill_buf().at("read", &self.path)?.starts_with("\u{feff}".as_bytes()) {
            self.consume(3);
        }
        Ok(())
    }

    /// The next byte that is not white space, left in place.
    fn next_token(&mut self) -> Result<Option<u8>> {
        loop {
            match self.file.fill_buf().at("read", &self.path)?.first().copied() {
                Some(space) if space.is_ascii_whitespace() => self.consume(1),
                other => return Ok(other),
            }
        }
    }

    /// Takes the text of the object that begins here up to its last brace, and returns where it began. Whether it is JSON otherwise is
    /// for the parser to say.
    fn take_object(&mut self, object: &mut Vec<u8>, number: u64) -> Result<u64> {
        object.clear();
        let start = self.offset;
        let (mut depth, mut in_string, mut escaped) = (0u32, false, false);
        while object.len() as u64 <= LONGEST_ROW {
            let buffer = self.file.fill_buf().at("read", &self.path)?;
            let end = buffer.iter().position(|byte| {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if in_string => escaped = true,
                    b'"' => in_string = !in_string,
                    b'{' if !in_string => depth += 1,
                    b'}' if !in_string => depth = depth.saturating_sub(1),
                    _ => {}
                }
                depth == 0
            });
            let taken = buffer.get(..end.map_or(buffer.len(), |end| end + 1)).unwrap_or_default();
            object.extend_from_slice(taken);
            let count = taken.len();
            self.consume(count);
            match (end, count) {
                (Some(_), _) => return Ok(start),
                (None, 0) => return Err(self.cut_short(format!("the file ends within object {number}"))),
                (None, _) => {}
            }
        }
        Err(self.fault(start, format!("object {number} is longer than {} MiB", LONGEST_ROW >> 20)))
    }

    /// An error at the byte `offset`, which it names by line and column: they are counted only now, in another pass.
    fn fault(&self, offset: u64, message: impl fmt::Display) -> Error {
        match line_and_column(&self.path, offset) {
            Ok((line, column)) => Error::input(&self.path, format!("line {line}, column {column}: {message}")),
            Err(error) => error,
        }
    }

    fn cut_short(&self, message: String) -> Error {
        self.fault(self.offset, message).with_help("it was cut short: copy it again")
    }

    /// What the parser says of the object that begins at `start`, with the place in the file instead of that in the object.
    fn syntax(&self, number: u64, start: u64, object: &[u8], error: &serde_json::Error) -> Error {
        let before: usize =
            object.split(|byte| *byte == b'\n').take(error.line().saturating_sub(1)).map(|line| line.len() + 1).sum();
        let offset = start + (before + error.column().saturating_sub(1)) as u64;
        let words = error.to_string();
        let words = words.rsplit_once(" at line ").map_or(words.as_str(), |(words, _)| words);
        self.fault(offset, format!("object {number}: {words}"))
    }
}

/// Line and column, both from 1 and the column in bytes, of the byte `offset` of a file.
fn line_and_column(path: &Path, offset: u64) -> Result<(u64, u64)> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(path).at("open", path)?.take(offset));
    let (mut line, mut column) = (1, 1);
    loop {
        let buffer = file.fill_buf().at("read", path)?;
        if buffer.is_empty() {
            return Ok((line, column));
        }
        for byte in buffer {
            (line, column) = if *byte == b'\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        let count = buffer.len();
        file.consume(count);
    }
}

/// Keys and values in the order of the text.
fn cells_of(object: &[u8]) -> serde_json::Result<Vec<(String, String)>> {
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
struct RowOf<'a> {
    names: &'a [String],
    row: &'a mut StringRecord,
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
    fn an_object_that_fills_the_memory_is_refused_and_text_that_is_no_utf_8_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.jsonld");
        std::fs::write(&path, "[{\"a\":\"1\"},\n{\"a\":\"").unwrap();
        // Sparse: 4 GiB that take no room.
        File::options().write(true).open(&path).unwrap().set_len(4 << 30).unwrap();
        let error = table::convert(&path, &folder.path().join("m.csv")).unwrap_err();
        assert!(error.to_string().ends_with("line 2, column 1: object 2 is longer than 16 MiB"), "{error}");
        std::fs::write(&path, b"\xef\xbb\xbf[{\"a\":\"1\"},\n{\"a\":\"\xff\"}]").unwrap();
        let error = table::convert(&path, &folder.path().join("m.csv")).unwrap_err();
        assert!(error.to_string().contains("line 2, column 7: object 2: invalid unicode code point"), "{error}");
    }

    #[test]
    fn a_fault_is_named_by_its_line_column_and_object() {
        let fault = |text| convert(text).unwrap_err().to_string().split_once(": ").unwrap().1.to_owned();
        assert_eq!(fault(r#"{"a":"1"}"#), "line 1, column 1: the file does not begin with `[`");
        assert_eq!(fault("[\n{\"a\":\"1\"},\n {\"b\":\"1\"}]"), "line 3, column 2: object 2 has the key `b`, the first has not");
        assert_eq!(fault(r#"[{"a":"1","b":"2"},{"b":"1"}]"#), "line 1, column 20: object 2 has no key `a`");
        assert_eq!(fault(r#"[{"a":"1"},{"a":"1","a":"2"}]"#), "line 1, column 12: object 2 has the key `a` twice");
        assert_eq!(fault(r#"[{"a":"1","a":"1"}]"#), "columns 1 and 2 are both called `a`");
        assert_eq!(fault(r#"[{"a":"1"}"#), "line 1, column 11: the file ends behind object 1, without `]`");
        assert_eq!(fault(r#"[{"a":"1"} {"a":"2"}]"#), "line 1, column 12: no `,` behind object 1");
        assert_eq!(fault("[{\"a\":\"1\"},\n{\"a\":"), "line 2, column 6: the file ends within object 2");
        assert_eq!(fault("[{\"a\":\"1\"},\n{\"a\":\n tru}]").split_once(": ").unwrap().0, "line 3, column 5");
        assert!(fault(r#"[{"a":"1"},{"a":["2"]}]"#).contains("expected a string, a number or null"));
    }
}
