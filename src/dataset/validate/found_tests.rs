//! What the tests of the checks share.

use crate::dataset::validate::{Fault, validate};

/// Checks a text of rows and lists (severity, kind, count, first example).
pub fn found(text: &str) -> Vec<(&'static str, String, u64, String)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.csv");
    std::fs::write(&path, text).unwrap();
    let report = validate(&path).unwrap();
    let severity = |fault: &Fault| ["remark", "warning", "fault"][fault.severity as usize];
    report.faults.iter().map(|fault| (severity(fault), fault.kind.clone(), fault.count, fault.examples[0].clone())).collect()
}
