//! Rows → objects.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::dataset::record::StringRecord;
use crate::dataset::table::WriteRows;
use crate::error::{IoContext, Result};

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
}
