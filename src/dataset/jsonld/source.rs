//! The bytes of the file, object by object, and places in it for errors.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::dataset::table::LONGEST_ROW;
use crate::error::{Error, IoContext, Result};

/// A file of text with the number of bytes taken from it.
pub(super) struct Source {
    path: PathBuf,
    file: BufReader<File>,
    /// Where the next byte stands in the file.
    pub offset: u64,
}

impl Source {
    /// The bytes of `file`, less a byte-order mark.
    pub fn new(path: &Path, file: File) -> Result<Self> {
        let mut source = Self { path: path.to_owned(), file: BufReader::with_capacity(1 << 20, file), offset: 0 };
        if source.file.fill_buf().at("read", path)?.starts_with("\u{feff}".as_bytes()) {
            source.consume(3);
        }
        Ok(source)
    }

    /// Passes over bytes that were looked at.
    pub fn consume(&mut self, count: usize) {
        self.file.consume(count);
        self.offset += count as u64;
    }

    /// The next byte that is not white space, left in place.
    pub fn next_token(&mut self) -> Result<Option<u8>> {
        loop {
            match self.file.fill_buf().at("read", &self.path)?.first().copied() {
                Some(space) if space.is_ascii_whitespace() => self.consume(1),
                other => return Ok(other),
            }
        }
    }

    /// Takes the text of the object that begins here up to its last brace, and returns where it began. Whether it is JSON otherwise is
    /// for the parser to say.
    pub fn take_object(&mut self, object: &mut Vec<u8>, number: u64) -> Result<u64> {
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
    pub fn fault(&self, offset: u64, message: impl fmt::Display) -> Error {
        match line_and_column(&self.path, offset) {
            Ok((line, column)) => Error::input(&self.path, format!("line {line}, column {column}: {message}")),
            Err(error) => error,
        }
    }

    /// [`Source::fault`] at the end of a file that should go on.
    pub fn cut_short(&self, message: String) -> Error {
        self.fault(self.offset, message).with_help("it was cut short: copy it again")
    }

    /// What the parser says of the object that begins at `start`, with the place in the file instead of that in the object.
    pub fn syntax(&self, number: u64, start: u64, object: &[u8], error: &serde_json::Error) -> Error {
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
