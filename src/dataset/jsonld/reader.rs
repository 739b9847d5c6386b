//! Objects → rows.

use std::fs::File;
use std::path::Path;

use serde::de::DeserializeSeed;

use crate::dataset::jsonld::cells::{RowOf, cells_of};
use crate::dataset::jsonld::source::Source;
use crate::dataset::record::{Columns, StringRecord};
use crate::dataset::table::ReadRows;
use crate::error::Result;

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
        let mut source = Source::new(path, file)?;
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
            Some(b']') => {
                self.source.consume(1);
                let more = self.source.next_token()?.is_some();
                let fault =
                    || self.source.fault(self.source.offset, format!("something stands behind the `]` of object {before}"));
                return if more { Err(fault().with_help("the file is one array: join its parts into it")) } else { Ok(false) };
            }
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
        assert_eq!(fault("[{\"a\":\"1\"}]\n[{\"a\":\"2\"}]"), "line 2, column 1: something stands behind the `]` of object 1");
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
