//! a ZIP archive without a whole directory → a directory made of the local headers that lie before each entry.
//!
//! What is written before the break of a download is whole, but a ZIP's directory is its last bytes. The walk takes header after header
//! from the start; where none follows it looks for the next one. It reads sizes and names only: what an entry holds is checked
//! against its CRC when it is read, as in any other archive.
//!
//! Entries whose header leaves the sizes to a data descriptor behind the data (general purpose bit 3) end at the next header, if the
//! descriptor there gives just their length. APPNOTE.TXT 6.3.10, sections 4.3.7 to 4.3.16 and 4.5.3, is the source of every offset.

use std::io::{self, BufRead};

use crate::container::Refused;
use crate::container::shared_file::SharedFile;

const LOCAL: &[u8; 4] = b"PK\x03\x04";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
const DESCRIPTOR: &[u8; 4] = b"PK\x07\x08";
const HAS_DESCRIPTOR: u16 = 1 << 3;
/// What a 32-bit field says where the ZIP64 extra field has the value.
const IN_ZIP64: u32 = u32::MAX;
/// How much is read at a time to look for a header: this much first, and twice as much each time it is not found, up to the second.
const WINDOW: (usize, usize) = (32 << 10, 1 << 20);

/// What could be saved.
#[derive(Debug)]
pub(super) struct Salvage {
    /// A directory of the whole entries with all that ends a ZIP archive, to be read behind the file's last byte.
    pub directory: Vec<u8>,
    /// How many entries it has.
    pub whole: u64,
    /// Entries whose end is missing.
    pub cut: Vec<Refused>,
    /// Bytes that belong to no entry.
    pub lost: u64,
}

/// A header before an entry's data.
#[derive(Debug)]
struct Local {
    at: u64,
    flags: u16,
    method: u16,
    crc: u32,
    compressed: u64,
    size: u64,
    name: Vec<u8>,
    /// Where the data begin.
    data: u64,
}

/// What stands where a header is looked for.
#[derive(Debug)]
enum Header {
    None,
    /// One that the end of the file cuts.
    Cut,
    Whole(Local),
}

/// Where the search for the next header ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Local(u64),
    /// The directory, or what is left of it.
    Central(u64),
    /// The end of the file, or a header that it cuts.
    End(u64),
}

impl Next {
    fn at(self) -> u64 {
        match self {
            Self::Local(at) | Self::Central(at) | Self::End(at) => at,
        }
    }
}

/// Walks `file` once; the time is proportional to its length whatever its bytes are.
pub(super) fn salvage(file: &SharedFile) -> io::Result<Salvage> {
    let (mut whole, mut cut, mut lost) = (Vec::new(), Vec::new(), 0);
    let mut next = search(file, 0)?;
    lost += next.at();
    while let Next::Local(at) = next {
        let Header::Whole(mut local) = header_at(file, at)? else { break };
        let refuse = |reason, detail: &str| {
            let name = String::from_utf8_lossy(&local.name);
            let name = name.rsplit('/').next().unwrap_or_default().to_owned();
            Refused { file: name, reason, detail: detail.to_owned() }
        };
        let left = file.length() - local.data;
        if local.flags & HAS_DESCRIPTOR != 0 && local.compressed == 0 {
            next = search(file, local.data)?;
            match descriptor_before(file, next.at(), local.data)? {
                Some((crc, compressed, size)) => {
                    (local.crc, local.compressed, local.size) = (crc, compressed, size);
                    whole.push(local);
                }
                None if matches!(next, Next::End(_)) => cut.push(refuse("truncated", "the archive ends before the entry does")),
                None => cut.push(refuse("unreadable_entry", "no data descriptor that fits its length follows it")),
            }
        } else if local.compressed > left {
            cut.push(refuse("truncated", &format!("{left} of its {} bytes are there", local.compressed)));
            next = search(file, local.data)?;
        } else {
            let end = local.data + local.compressed;
            let adjacent = search_within(file, end, end.saturating_add(4))?;
            next = match adjacent {
                Some(found) if found.at() == end => found,
                None if end == file.length() => Next::End(end),
                // Its length may be what is damaged, so the search begins where its data do.
                _ => search(file, local.data)?,
            };
            lost += next.at().saturating_sub(end);
            whole.push(local);
        }
    }
    Ok(Salvage { directory: directory(&whole, file.length()), whole: whole.len() as u64, cut, lost })
}

/// The first header at or behind `from`.
fn search(file: &SharedFile, from: u64) -> io::Result<Next> {
    Ok(search_within(file, from, file.length())?.unwrap_or(Next::End(file.length())))
}

/// The first header that begins in `from..until`.
fn search_within(file: &SharedFile, mut from: u64, until: u64) -> io::Result<Option<Next>> {
    let until = until.min(file.length());
    let mut most = WINDOW.0;
    while from + 4 <= until {
        // Windows overlap by three bytes: a signature may lie across their border.
        let length = (until - from).min(most as u64) as usize;
        let Some(window) = file.bytes_at(from, length)? else { return Ok(None) };
        let mut rest = window.as_slice();
        // The standard library's search for a byte is many times faster than a look at each place.
        while rest.skip_until(b'P')? > 0 {
            let offset = length - rest.len() - 1;
            let (at, found) = (from + offset as u64, &window[offset..]);
            if found.starts_with(LOCAL) {
                match header_at(file, at)? {
                    Header::Whole(_) => return Ok(Some(Next::Local(at))),
                    Header::Cut => return Ok(Some(Next::End(at))),
                    Header::None => {}
                }
            }
            if found.starts_with(CENTRAL) && is_central(file, at)? {
                return Ok(Some(Next::Central(at)));
            }
        }
        from += (length - 3) as u64;
        most = (2 * most).min(WINDOW.1);
    }
    Ok(None)
}

/// What stands at `at`.
fn header_at(file: &SharedFile, at: u64) -> io::Result<Header> {
    let Some(fixed) = file.bytes_at(at, 30)? else { return Ok(Header::Cut) };
    let (flags, method) = (u16_at(&fixed, 6), u16_at(&fixed, 8));
    let (name, extra) = (usize::from(u16_at(&fixed, 26)), usize::from(u16_at(&fixed, 28)));
    // Four bytes that look like a signature happen in compressed data; a version, a method and a name beside them do not.
    if !fixed.starts_with(LOCAL) || u16_at(&fixed, 4) & 0xff > 63 || method > 99 || !(1..=4096).contains(&name) {
        return Ok(Header::None);
    }
    let Some(rest) = file.bytes_at(at + 30, name + extra)? else { return Ok(Header::Cut) };
    let (name, extra) = rest.split_at(name);
    let (mut compressed, mut size) = (u64::from(u32_at(&fixed, 18)), u64::from(u32_at(&fixed, 22)));
    if let Some(values) = zip64_values(extra) {
        let mut values = values.chunks_exact(8).map(|value| u64::from_le_bytes(value.try_into().expect("chunks of eight")));
        for value in [&mut size, &mut compressed] {
            if *value == u64::from(IN_ZIP64) {
                *value = values.next().unwrap_or(*value);
            }
        }
    }
    let data = at + 30 + rest.len() as u64;
    Ok(Header::Whole(Local { at, flags, method, crc: u32_at(&fixed, 14), compressed, size, name: name.to_owned(), data }))
}

/// Whether a directory's entry stands at `at`, or the beginning of one that the end of the file cuts.
fn is_central(file: &SharedFile, at: u64) -> io::Result<bool> {
    let Some(fixed) = file.bytes_at(at, 46)? else { return Ok(true) };
    Ok(u16_at(&fixed, 6) & 0xff <= 63 && u16_at(&fixed, 10) <= 99 && u16_at(&fixed, 28) > 0 && u16_at(&fixed, 34) == 0)
}

/// CRC, compressed and plain size from the descriptor that ends at `end`, if one gives the length of the data that began at `data`.
///
/// Its signature is optional and its sizes have four or eight bytes; which, no header says.
fn descriptor_before(file: &SharedFile, end: u64, data: u64) -> io::Result<Option<(u32, u64, u64)>> {
    for (length, signed, wide) in [(24, true, true), (16, true, false), (20, false, true), (12, false, false)] {
        let Some(at) = end.checked_sub(length).filter(|at| *at >= data) else { continue };
        let Some(bytes) = file.bytes_at(at, length as usize)? else { continue };
        if signed && !bytes.starts_with(DESCRIPTOR) {
            continue;
        }
        let values = &bytes[if signed { 4 } else { 0 }..];
        let (compressed, size) = if wide {
            (u64_at(values, 4), u64_at(values, 12))
        } else {
            (u64::from(u32_at(values, 4)), u64::from(u32_at(values, 8)))
        };
        if compressed == at - data {
            return Ok(Some((u32_at(values, 0), compressed, size)));
        }
    }
    Ok(None)
}

/// The values of the ZIP64 extra field, if there is one.
fn zip64_values(mut extra: &[u8]) -> Option<&[u8]> {
    while extra.len() >= 4 {
        let field = extra.get(4..4 + usize::from(u16_at(extra, 2)))?;
        if u16_at(extra, 0) == 1 {
            return Some(field);
        }
        extra = &extra[4 + field.len()..];
    }
    None
}

/// A directory of `entries` that begins at `start`, in ZIP64 form throughout.
fn directory(entries: &[Local], start: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        out.extend(CENTRAL);
        // Made by and needs version 4.5, the first with ZIP64. The sizes are known now, so bit 3 goes.
        push16(&mut out, &[45, 45, entry.flags & !HAS_DESCRIPTOR, entry.method, 0, 0x21]);
        push32(&mut out, &[entry.crc, IN_ZIP64, IN_ZIP64]);
        push16(&mut out, &[entry.name.len() as u16, 28, 0, 0, 0]);
        push32(&mut out, &[0, IN_ZIP64]);
        out.extend(&entry.name);
        push16(&mut out, &[1, 24]);
        push64(&mut out, &[entry.size, entry.compressed, entry.at]);
    }
    let (count, length) = (entries.len() as u64, out.len() as u64);
    out.extend(b"PK\x06\x06");
    push64(&mut out, &[44]);
    push16(&mut out, &[45, 45]);
    push32(&mut out, &[0, 0]);
    push64(&mut out, &[count, count, length, start]);
    out.extend(b"PK\x06\x07");
    push32(&mut out, &[0]);
    push64(&mut out, &[start + length]);
    push32(&mut out, &[1]);
    out.extend(b"PK\x05\x06");
    push16(&mut out, &[0, 0, u16::MAX, u16::MAX]);
    push32(&mut out, &[IN_ZIP64, IN_ZIP64]);
    push16(&mut out, &[0]);
    out
}

fn push16(out: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|value| out.extend(value.to_le_bytes()));
}

fn push32(out: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|value| out.extend(value.to_le_bytes()));
}

fn push64(out: &mut Vec<u8>, values: &[u64]) {
    values.iter().for_each(|value| out.extend(value.to_le_bytes()));
}

/// Little-endian at `at`; 0 where the slice is shorter, which no caller's is.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |value| u16::from_le_bytes(*value))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |value| u32::from_le_bytes(*value))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |value| u64::from_le_bytes(*value))
}
