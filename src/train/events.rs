//! The history of a run → a TensorBoard event file.
//!
//! The format is TensorFlow's: records of (length, masked CRC of the length, bytes, masked CRC of the bytes), each an `Event` protocol
//! buffer. The file is derived from the whole history every time, so a resumed run holds no event twice; wall times are the epoch's
//! number in seconds, because real ones would make two equal runs differ (contract 4).

use crate::evaluate::DEFAULT_KS;
use crate::train::metrics::EpochMetrics;

/// The name TensorBoard looks for.
pub const FILE_NAME: &str = "events.out.tfevents.0000000000.bioscan-hpc";

/// The whole event file.
pub fn to_event_file(history: &[EpochMetrics]) -> Vec<u8> {
    let mut file = record(&event(0, 0.0, &bytes_field(3, b"brain.Event:2")));
    for row in history {
        for (tag, value) in scalars(row) {
            let value = [bytes_field(1, tag.as_bytes()), float_field(2, value as f32)].concat();
            let summary = bytes_field(5, &bytes_field(1, &value));
            file.extend(record(&event(row.epoch, row.epoch as f64, &summary)));
        }
    }
    file
}

/// The tags are the original program's, with its colons, so that one TensorBoard shows its runs and ours in the same charts; below them
/// the figures that it does not write.
fn scalars(row: &EpochMetrics) -> Vec<(String, f64)> {
    let mut tags: Vec<(String, Option<f64>)> = [
        ("loss_epoch_train", Some(row.loss_train)),
        ("acc_epoch_train", Some(row.top1_train)),
        ("loss_epoch_val", row.loss_val),
        ("acc_epoch_val", row.top1_val),
        ("lr", Some(row.lr)),
        ("macro_top1_epoch_val", row.macro_top1_val),
        ("f1_macro_epoch_val", row.f1_macro_val),
    ]
    .map(|(tag, value)| (tag.to_owned(), value))
    .into();
    for (k, (top_train, [top, average, lambda])) in DEFAULT_KS.iter().zip(row.top_train().into_iter().zip(row.of_k_val())) {
        tags.extend([
            (format!("topk_acc_epoch_train-Top{k}:"), Some(top_train)),
            (format!("topk_acc_epoch_val-Top{k}:"), top),
            (format!("avgk_acc_epoch_val-Top{k}:"), average),
            (format!("lmbda_val-Top{k}:"), lambda),
        ]);
    }
    tags.into_iter().filter_map(|(tag, value)| Some((tag, value?))).collect()
}

/// `Event { wall_time: double = 1, step: int64 = 2, … }`.
fn event(step: u64, wall_time: f64, rest: &[u8]) -> Vec<u8> {
    let mut event = vec![1 << 3 | 1];
    event.extend(wall_time.to_le_bytes());
    event.push(2 << 3);
    event.extend(varint(step));
    event.extend(rest);
    event
}

fn bytes_field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2][..], &varint(bytes.len() as u64), bytes].concat()
}

fn float_field(number: u8, value: f32) -> Vec<u8> {
    [&[number << 3 | 5][..], &value.to_le_bytes()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    [&length[..], &masked_crc(&length).to_le_bytes(), bytes, &masked_crc(bytes).to_le_bytes()].concat()
}

/// TensorFlow's masking: a CRC of data that hold CRCs would be weak.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), bit by bit: these files are small.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::metrics::example;

    #[test]
    fn the_checksum_is_castagnolis() {
        // The check value of CRC-32C in every catalogue, and RFC 3720 B.4's 32 zero bytes.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn the_first_record_is_the_version_and_every_length_leads_to_the_next() {
        let file = to_event_file(&[example(0), example(300)]);
        let mut rest = file.as_slice();
        let mut events = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            assert_eq!(rest[8..12], masked_crc(&rest[..8]).to_le_bytes());
            events.push(&rest[12..12 + length]);
            rest = &rest[16 + length..];
        }
        assert!(events[0].ends_with(b"\x1a\x0dbrain.Event:2"));
        // Of the example: six scalars (macro-F1 is absent), four of training top-k, and three of k = 5 and one of k = 1 in validation.
        assert_eq!(events.len(), 1 + 2 * 14);
        // Step 300 as a varint.
        assert_eq!(events[15][9..12], [2 << 3, 0xac, 0x02]);
    }

    #[test]
    fn the_tags_are_those_of_the_original() {
        let tags: Vec<String> = scalars(&example(0)).into_iter().map(|(tag, _)| tag).collect();
        for tag in
            ["loss_epoch_train", "acc_epoch_val", "topk_acc_epoch_train-Top10:", "avgk_acc_epoch_val-Top5:", "lmbda_val-Top5:"]
        {
            assert!(tags.iter().any(|there| there == tag), "{tag}");
        }
    }
}
