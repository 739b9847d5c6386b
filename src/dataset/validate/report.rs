//! What a check found.

use std::fmt;

use serde::Serialize;

/// How many examples of each kind of fault are kept.
const EXAMPLES: usize = 5;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; occurs in the published data and harms nothing.
    Remark,
    /// Looks wrong, but may be right: somebody should look.
    Warning,
    /// Is wrong.
    Fault,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Remark => "remark",
            Self::Warning => "warning",
            Self::Fault => "fault",
        })
    }
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Rows looked at.
    pub rows: u64,
    /// Kinds of findings, in the order in which they were first met; empty where the table is sound.
    pub faults: Vec<Fault>,
    /// Published columns that the table does not have: no fault in data of one's own.
    pub absent_columns: Vec<String>,
}

/// One kind of finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What is wrong, as a sentence about rows.
    pub kind: String,
    /// How bad that is.
    pub severity: Severity,
    /// How many rows have it.
    pub count: u64,
    /// The first of them.
    pub examples: Vec<String>,
}

impl Report {
    /// Whether nothing is as bad as `severity` or worse.
    #[must_use]
    pub fn is_below(&self, severity: Severity) -> bool {
        self.faults.iter().all(|fault| fault.severity < severity)
    }

    /// Counts one finding; `example` is asked for only where it is kept.
    pub fn add(&mut self, severity: Severity, kind: &str, example: impl FnOnce() -> String) {
        self.add_many(severity, kind, 1, example);
    }

    /// Counts `count` rows with the same finding, of which one example is enough.
    pub fn add_many(&mut self, severity: Severity, kind: &str, count: u64, example: impl FnOnce() -> String) {
        let position = self.faults.iter().position(|fault| fault.kind == kind).unwrap_or_else(|| {
            self.faults.push(Fault { kind: kind.to_owned(), severity, count: 0, examples: Vec::new() });
            self.faults.len() - 1
        });
        if let Some(fault) = self.faults.get_mut(position) {
            fault.count += count;
            if fault.examples.len() < EXAMPLES {
                fault.examples.push(example());
            }
        }
    }

    /// Adds what another report found, of other rows or in another way.
    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        for found in other.faults {
            match self.faults.iter_mut().find(|fault| fault.kind == found.kind) {
                Some(fault) => {
                    fault.count += found.count;
                    fault.examples.extend(found.examples);
                    fault.examples.truncate(EXAMPLES);
                }
                None => self.faults.push(found),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_counted_and_the_first_examples_kept() {
        let mut report = Report::default();
        assert!(report.is_below(Severity::Remark));
        (0..9).for_each(|row| report.add(Severity::Warning, "odd", || format!("line {row}")));
        assert_eq!((report.faults[0].count, report.faults[0].examples.len()), (9, 5));
        assert!(report.is_below(Severity::Fault) && !report.is_below(Severity::Warning));
        let mut other = Report { rows: 3, ..Report::default() };
        other.add_many(Severity::Fault, "bad", 7, || "x".into());
        other.add(Severity::Warning, "odd", || "y".into());
        report.merge(other);
        assert_eq!(report.faults.iter().map(|fault| fault.count).collect::<Vec<_>>(), [10, 7]);
        assert!(!report.is_below(Severity::Fault));
    }
}
