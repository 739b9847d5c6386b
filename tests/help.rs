//! What `--help` says of every subcommand, kept so that a change of it is seen. `INSTA_UPDATE=always cargo test --test help` accepts one.
#![cfg(all(feature = "image", feature = "net", feature = "torch"))]

use std::process::{Command, Stdio};

fn help(path: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bioscan-hpc"));
    let output = command.args(path).arg("--help").env("COLUMNS", "100").stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{path:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_subcommand_explains_itself_with_an_example() {
    let paths: [&[&str]; 35] = [
        &[],
        &["synth"],
        &["import"],
        &["metadata"],
        &["metadata", "split"],
        &["metadata", "stats"],
        &["metadata", "validate"],
        &["metadata", "convert"],
        &["metadata", "clean"],
        &["metadata", "replay"],
        &["metadata", "undo"],
        &["metadata", "document"],
        &["fetch"],
        &["push"],
        &["preprocess"],
        &["train"],
        &["test"],
        &["predict"],
        &["weights"],
        &["weights", "inspect"],
        &["weights", "import"],
        &["weights", "export"],
        &["sweep"],
        &["sweep", "plan"],
        &["sweep", "render"],
        &["sweep", "submit"],
        &["sweep", "status"],
        &["sweep", "why"],
        &["sweep", "logs"],
        &["sweep", "rerun"],
        &["sweep", "cancel"],
        &["aggregate"],
        &["report"],
        &["verify"],
        &["doctor"],
    ];
    for path in paths {
        let text = help(path);
        let leaf = !text.contains("Commands:");
        assert!(!leaf || text.contains("bioscan-hpc ") && text.contains("Example"), "no example:\n{text}");
        let name = if path.is_empty() { "bioscan-hpc".into() } else { path.join("_") };
        insta::assert_snapshot!(name, text);
    }
}
