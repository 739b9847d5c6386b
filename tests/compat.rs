//! Third-party readers on what this program wrote, and this program on what they wrote. Needs Debian's `python3-h5py`.
#![cfg(all(feature = "image", feature = "hdf5"))]

mod prep;

use std::path::Path;
use std::process::Command;

use bioscan_hpc::container::{ImageKey, open};
use prep::{Bench, package, preprocess, program};

/// Runs a Python script; false where its modules are not installed.
fn python(script: &str, arguments: &[&Path]) -> bool {
    const PYTHON: &str = "/usr/bin/python3";
    let there = Command::new(PYTHON).args(["-c", "import h5py, numpy"]).output().is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("SKIPPED: {PYTHON} has no h5py (Debian: python3-h5py)");
        return false;
    }
    let output = Command::new(PYTHON).arg("-c").arg(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    true
}

#[test]
fn zipfile_and_h5py_read_the_images_that_lie_in_the_folder() {
    const SCRIPT: &str = r#"
import sys, zipfile, os, h5py, numpy as np
package = sys.argv[1]
files = {}
for part in os.listdir(f"{package}/folder"):
    for name in os.listdir(f"{package}/folder/{part}"):
        files[part, name] = open(f"{package}/folder/{part}/{name}", "rb").read()
assert len(files) == 9, len(files)

archive = zipfile.ZipFile(f"{package}/original_64.zip")
assert archive.testzip() is None
entries = archive.infolist()
assert [e.filename for e in entries] == [f"bioscan/images/original_64/{p}/{n}" for p, n in sorted(files)]
for entry, key in zip(entries, sorted(files)):
    assert archive.read(entry) == files[key]
    assert entry.compress_type == zipfile.ZIP_STORED and entry.date_time == (1980, 1, 1, 0, 0, 0)

with h5py.File(f"{package}/original_64.hdf5", "r") as file:
    group = file["bioscan_dataset"]
    assert list(file) == ["bioscan_dataset"] and len(group) == 9
    assert isinstance(group.attrs["Description"], str)
    for (_, name), data in files.items():
        dataset = group[name]
        assert dataset.dtype == np.uint8 and dataset.ndim == 1
        assert dataset[()].tobytes() == data
"#;
    let bench = Bench::with_chunks(2, 3);
    preprocess(program(), &bench.job_to("a"), 0);
    python(SCRIPT, &[&package(&bench.output("a"))]);
}

#[test]
fn both_layouts_of_the_original_tools_are_read() {
    const SCRIPT: &str = r#"
import sys, h5py, numpy as np
data = bytes(range(256)) * 3
with h5py.File(sys.argv[1], "w") as file:  # the published files
    file.create_group("bioscan_dataset").create_dataset("a.jpg", data=np.frombuffer(data, dtype=np.uint8))
with h5py.File(sys.argv[2], "w") as file:  # the original command line: a scalar string at the root
    file.create_dataset("a.jpg", data=np.asarray(data[1:]))
"#;
    let folder = tempfile::tempdir().unwrap();
    let (published, root) = (folder.path().join("published.hdf5"), folder.path().join("root.hdf5"));
    if !python(SCRIPT, &[&published, &root]) {
        return;
    }
    let data: Vec<u8> = (0..3).flat_map(|_| 0..=255u8).collect();
    for (path, expected) in [(&published, &data[..]), (&root, &data[1..])] {
        let reader = open(path).unwrap();
        assert_eq!(reader.keys(), [ImageKey::new(0, "a.jpg")]);
        assert_eq!(reader.read(&ImageKey::new(5, "a.jpg")).unwrap().as_deref(), Some(expected));
    }
}
