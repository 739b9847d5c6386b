//! The layout is a house: `main` is a door, and a room imports only from the floors below its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const FLOORS: [&[&str]; 4] = [
    &["error", "random", "config", "telemetry", "store", "comm"],
    &["dataset", "image", "container", "model", "evaluate"],
    &["curate", "preprocess", "train", "predict", "sweep", "report", "transfer", "doctor"],
    &["cli"],
];

/// What may not be used in a room although its floor allows it: (room, name, why).
const FORBIDDEN: [(&str, &str, &str); 5] = [
    ("image", "crate::dataset", "image knows no dataset"),
    ("container", "crate::model", "container knows no model"),
    ("sweep", "tch::", "sweep builds without libtorch"),
    ("report", "tch::", "report builds without libtorch"),
    ("evaluate", "tch::", "metrics build without libtorch"),
];

/// Rooms of one floor that may use each other: the ground floor's, whose order among themselves is the one listed.
fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") && !path.to_string_lossy().ends_with("_tests.rs") {
            found.push(path);
        }
    }
    found
}

/// Each source file with the room it lies in; `main.rs` and `lib.rs` lie in none, and files of tests do not count.
fn rooms() -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let room = |path: &Path| path.strip_prefix(&root).unwrap().iter().next().unwrap().to_string_lossy().replace(".rs", "");
    sources(&root)
        .into_iter()
        .map(|path| (path.clone(), room(&path)))
        .filter(|(_, room)| room != "main" && room != "lib")
        .collect()
}

/// The code of a file without its tests, which may look down and sideways as they like.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned()
}

#[test]
fn every_room_stands_on_a_floor_and_imports_only_from_below() {
    let mut faults = Vec::new();
    for (path, room) in rooms() {
        let Some(floor) = floor_of(&room) else {
            faults.push(format!("{}: the room `{room}` stands on no floor", path.display()));
            continue;
        };
        let code = code(&path);
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        for other in lines.flat_map(|line| line.split("crate::").skip(1)) {
            let other: String = other.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let Some(below) = floor_of(&other) else { continue };
            let allowed = below < floor || other == room || (floor == 0 && below == 0);
            if !allowed {
                faults.push(format!("{}: `{room}` (floor {}) uses `{other}` (floor {})", path.display(), floor + 1, below + 1));
            }
        }
        for (_, name, why) in FORBIDDEN.iter().filter(|(of, ..)| *of == room) {
            if code.contains(name) {
                faults.push(format!("{}: {why}, but it names `{name}`", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn main_is_a_door() {
    let main = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs")).unwrap();
    assert!(main.lines().count() <= 40, "main.rs has {} lines", main.lines().count());
}

#[test]
fn nobody_prints_past_the_one_writer_to_stdout_or_panics_by_design() {
    let mut faults = Vec::new();
    for path in rooms().into_keys() {
        for (number, line) in code(&path).lines().enumerate() {
            let line = line.trim_start();
            if line.starts_with("//") {
                continue;
            }
            // They panic where nobody reads on; `answer` and `put` of the command line do not.
            let printed = ["println!(", "print!("].iter().any(|name| line.replace(&format!("e{name}"), "").contains(name));
            let left_open = ["todo!(", "unimplemented!(", ".unwrap()"].iter().any(|name| line.contains(name));
            if printed || left_open {
                faults.push(format!("{}:{}: {line}", path.display(), number + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
