//! DNA barcodes and BINs: their letters, their lengths, their form.

use crate::dataset::record::{Column, Columns, is_blank};
use crate::dataset::schema;
use crate::dataset::validate::check::{Check, Row};
use crate::dataset::validate::report::{Report, Severity};

/// Lengths that a COI barcode may have: the usual stretch has 658 bases, the whole gene in insects about 1,540.
const LENGTHS: std::ops::RangeInclusive<usize> = 200..=1_600;

pub(super) fn checks(columns: &Columns) -> Vec<Box<dyn Check>> {
    let mut checks: Vec<Box<dyn Check>> = Vec::new();
    if let Some(column) = schema::find(columns, "dna_barcode") {
        checks.push(Box::new(Barcode(column)));
    }
    if let Some(column) = schema::find(columns, "dna_bin") {
        checks.push(Box::new(Bin(column)));
    }
    checks
}

struct Barcode(Column);

impl Check for Barcode {
    fn row(&mut self, row: &Row, report: &mut Report) {
        let barcode = self.0.of(row.cells);
        if barcode.is_empty() {
            return report.add(Severity::Remark, "the record has no barcode", || (row.place)());
        }
        if let Some((index, letter)) = barcode.char_indices().find(|(_, letter)| !matches!(letter, 'A' | 'C' | 'G' | 'T' | 'N')) {
            let example = || row.says(format_args!("`{letter}` at base {}", index + 1));
            return report.add(Severity::Fault, "the barcode has letters other than A, C, G, T and N", example);
        }
        if !LENGTHS.contains(&barcode.len()) {
            let kind = format!("the barcode has not {} to {} bases", LENGTHS.start(), LENGTHS.end());
            report.add(Severity::Warning, &kind, || row.says(format_args!("{} bases", barcode.len())));
        }
        let trailing = barcode.len() - barcode.trim_end_matches('N').len();
        if trailing > 0 {
            report.add(Severity::Remark, "the barcode ends in N", || row.says(format_args!("{trailing} of {}", barcode.len())));
        }
    }
}

struct Bin(Column);

impl Check for Bin {
    fn row(&mut self, row: &Row, report: &mut Report) {
        let bin = self.0.of(row.cells);
        if !is_blank(bin) && !is_bin(bin) {
            report.add(Severity::Fault, "the BIN is not of the form BOLD:ABC1234", || row.says(format_args!("`{bin}`")));
        }
    }
}

/// Whether `text` is `BOLD:`, three capitals and four digits.
fn is_bin(text: &str) -> bool {
    let Some(code) = text.strip_prefix("BOLD:").map(str::as_bytes) else { return false };
    code.len() == 7 && code.iter().take(3).all(u8::is_ascii_uppercase) && code.iter().skip(3).all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::validate::found_tests::found;

    #[test]
    fn letters_length_and_trailing_n_are_told_apart() {
        let good = "ACGT".repeat(160);
        let rows =
            [good.clone(), format!("{good}NN"), format!("{}U", &good[..300]), good.to_lowercase(), "ACG".into(), String::new()];
        let rows: String = rows.iter().enumerate().map(|(row, barcode)| format!("{row}.jpg,1,{barcode}\n")).collect();
        let found = found(&format!("image_file,chunk_number,nucraw\n{rows}"));
        let expected = [
            ("remark", "the barcode ends in N", 1, "line 3: 2 of 642"),
            ("fault", "the barcode has letters other than A, C, G, T and N", 2, "line 4: `U` at base 301"),
            ("warning", "the barcode has not 200 to 1600 bases", 1, "line 6: 3 bases"),
            ("remark", "the record has no barcode", 1, "line 7"),
        ];
        assert_eq!(found, expected.map(|(severity, kind, count, first)| (severity, kind.into(), count, first.into())));
    }

    #[test]
    fn a_bin_has_three_capitals_and_four_digits() {
        assert!(is_bin("BOLD:AER5166"));
        for no in ["AER5166", "BOLD:aer5166", "BOLD:AER516", "BOLD:AER51666", "BOLD:AE15166", "BOLD:"] {
            assert!(!is_bin(no), "{no}");
        }
    }
}
