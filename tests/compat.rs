//! Third-party readers on what this program wrote, and this program on what they wrote. Needs Debian's `python3-h5py` and
//! `python3-pil`.
#![cfg(all(feature = "image", feature = "hdf5"))]

mod prep;

use std::path::Path;
use std::process::Command;

use bioscan_hpc::config::Hdf5Layout;
use bioscan_hpc::container::{Hdf5Writer, ImageKey, TarWriter, Writer, open};
use bioscan_hpc::image::{decode, orientation_of, upright};
use prep::{Bench, package, preprocess, program};

/// Runs a Python script that needs h5py; false where it is not installed.
fn python(script: &str, arguments: &[&Path]) -> bool {
    python_with("h5py", script, arguments)
}

/// Runs a Python script that needs `module`; false where it is not installed.
fn python_with(module: &str, script: &str, arguments: &[&Path]) -> bool {
    const PYTHON: &str = "/usr/bin/python3";
    let import = format!("import numpy, {module}");
    let there = Command::new(PYTHON).args(["-c", &import]).output().is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("SKIPPED: {PYTHON} has no {module} (Debian: python3-h5py, python3-pil)");
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
    assert isinstance(group.attrs["Description"], str) and group.attrs["License"] == "CC BY 3.0"
    for (_, name), data in files.items():
        dataset = group[name]
        assert dataset.dtype == np.uint8 and dataset.ndim == 1
        assert dataset[()].tobytes() == data
"#;
    let bench = Bench::with_chunks(2, 3);
    let licensed = "hdf5_attributes = { License = \"CC BY 3.0\" }";
    preprocess(program(), &bench.write_job("a", &bench.output("a"), licensed), 0);
    python(SCRIPT, &[&package(&bench.output("a"))]);
}

#[test]
fn pil_sees_the_images_as_this_program_does() {
    const SCRIPT: &str = r#"
import sys, zipfile
from PIL import Image
archive = zipfile.ZipFile(f"{sys.argv[1]}/original_64.zip")
for entry in archive.infolist():
    image = Image.open(archive.open(entry))
    assert (image.format, image.mode, min(image.size)) == ("JPEG", "RGB", 64), (image.format, image.mode, image.size)
    name = entry.filename.rsplit("/", 1)[1]
    open(f"{sys.argv[2]}/{name}.rgb", "wb").write(image.tobytes())
"#;
    let bench = Bench::with_chunks(2, 3);
    preprocess(program(), &bench.job_to("a"), 0);
    let (package, pixels) = (package(&bench.output("a")), tempfile::tempdir().unwrap());
    if !python_with("PIL", SCRIPT, &[&package, pixels.path()]) {
        return;
    }
    let ours = open(&package.join("original_64.zip")).unwrap();
    assert_eq!(ours.keys().len(), std::fs::read_dir(&pixels).unwrap().count());
    for key in ours.keys() {
        let image = decode(&ours.read(&key).unwrap().unwrap()).unwrap();
        let seen = std::fs::read(pixels.path().join(format!("{}.rgb", key.file))).unwrap();
        // Two builds of libjpeg-turbo may round a colour otherwise.
        let furthest = image.pixels.iter().zip(&seen).map(|(ours, theirs)| ours.abs_diff(*theirs)).max();
        assert!(seen.len() == image.pixels.len() && furthest <= Some(2), "{key}: {furthest:?}");
    }
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

#[test]
fn h5py_reads_the_layout_of_the_original_command_line_as_it_reads_its_own() {
    const SCRIPT: &str = r#"
import sys, h5py, numpy as np
data = [bytes(range(256)) * 3 + b"\xff\xd9", b"x" * 70000]
with h5py.File(sys.argv[2], "w") as file:
    for name, bytes_ in zip(["a.jpg", "b.jpg"], data):
        file.create_dataset(name, data=np.asarray(bytes_))
with h5py.File(sys.argv[1]) as ours, h5py.File(sys.argv[2]) as theirs:
    assert list(ours) == list(theirs) == ["a.jpg", "b.jpg"]
    for name, bytes_ in zip(ours, data):
        a, b = ours[name], theirs[name]
        assert a.shape == b.shape == () and a.dtype == b.dtype == np.dtype(f"S{len(bytes_)}"), (a.dtype, b.dtype)
        assert a.id.get_type().get_strpad() == b.id.get_type().get_strpad() == h5py.h5t.STR_NULLPAD
        assert a[()] == b[()] == bytes_
"#;
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (folder.path().join("ours.hdf5"), folder.path().join("theirs.hdf5"));
    let mut writer = Box::new(Hdf5Writer::create_as(&ours, Hdf5Layout::Tool).unwrap());
    let first: Vec<u8> = (0..3).flat_map(|_| 0..=255u8).chain([0xff, 0xd9]).collect();
    writer.add(&ImageKey::new(1, "a.jpg"), &first).unwrap();
    writer.add(&ImageKey::new(2, "b.jpg"), &[b'x'; 70_000]).unwrap();
    writer.finish().unwrap();
    python(SCRIPT, &[&ours, &theirs]);
}

#[test]
fn tarfile_reads_the_tars_and_its_own_are_read_whatever_their_format() {
    const SCRIPT: &str = r#"
import io, sys, tarfile, urllib.parse
with tarfile.open(f"{sys.argv[1]}/cropped_256-000007.tar") as tar:
    members = tar.getmembers()
    assert [m.name for m in members] == ["5351601.jpg", "BIOUG%2E1.jpg"], members
    assert all((m.mtime, m.uid, m.gid, m.mode, m.uname, m.gname) == (0, 0, 0, 0o644, "", "") and m.isreg() for m in members)
    assert tar.extractfile(members[0]).read() == b"abc" and tar.extractfile(members[1]).read() == b"de" * 600
    # What WebDataset takes for the key: the name up to its first dot.
    assert [urllib.parse.unquote(m.name.split(".")[0]) + ".jpg" for m in members] == ["5351601.jpg", "BIOUG.1.jpg"]
for number, format in enumerate([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]):
    with tarfile.open(f"{sys.argv[1]}/theirs-{number:06}.tar", "w", format=format) as tar:
        for name in ["a.jpg", "b" * 90 + ".jpg"] + ["c" * 190 + ".jpg"] * (format != tarfile.USTAR_FORMAT):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = 3, 1.5 if format == tarfile.PAX_FORMAT else 1
            tar.addfile(info, io.BytesIO(name[:3].encode()))
"#;
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Box::new(TarWriter::create(folder.path(), "cropped_256", 7).unwrap());
    writer.add(&ImageKey::new(7, "5351601.jpg"), b"abc").unwrap();
    writer.add(&ImageKey::new(7, "BIOUG.1.jpg"), "de".repeat(600).as_bytes()).unwrap();
    writer.finish().unwrap();
    if !python(SCRIPT, &[folder.path()]) {
        return;
    }
    for (chunk, images) in [(0, 2), (1, 3), (2, 3)] {
        let tar = open(&folder.path().join(format!("theirs-{chunk:06}.tar"))).unwrap();
        assert_eq!(tar.keys().len(), images, "format {chunk}");
        assert!(tar.keys().iter().all(|key| key.chunk == chunk));
        assert_eq!(tar.read(&ImageKey::new(chunk, "a.jpg")).unwrap().as_deref(), Some(&b"a.j"[..]));
    }
}

#[test]
fn every_orientation_is_turned_upright_as_pil_turns_it() {
    const SCRIPT: &str = r#"
import sys, numpy as np
from PIL import Image, ImageOps
y, x = np.mgrid[0:48, 0:80]
picture = Image.fromarray(np.stack([3 * x, 5 * y, (x + y) // 2], axis=2).astype(np.uint8))
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x010f] = "a maker"
    exif[0x0112] = orientation
    name = f"{sys.argv[1]}/{orientation}"
    picture.save(name + ".jpg", quality=95, subsampling=0, exif=exif)
    turned = ImageOps.exif_transpose(Image.open(name + ".jpg")).convert("RGB")
    with open(name + ".rgb", "wb") as out:
        out.write(turned.width.to_bytes(4, "little") + turned.height.to_bytes(4, "little") + turned.tobytes())
"#;
    let folder = tempfile::tempdir().unwrap();
    if !python_with("PIL", SCRIPT, &[folder.path()]) {
        return;
    }
    for orientation in 1..=8 {
        let read = |ending: &str| std::fs::read(folder.path().join(format!("{orientation}.{ending}"))).unwrap();
        let (jpeg, theirs) = (read("jpg"), read("rgb"));
        assert_eq!(orientation_of(&jpeg), orientation);
        let ours = upright(decode(&jpeg).unwrap(), orientation);
        let size = |at: usize| u32::from_le_bytes(theirs[at..at + 4].try_into().unwrap());
        assert_eq!((ours.width, ours.height), (size(0), size(4)), "orientation {orientation}");
        // Two builds of libjpeg-turbo may round a colour differently, by one.
        let most = ours.pixels.iter().zip(&theirs[8..]).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(most <= Some(2), "orientation {orientation} differs by {most:?}");
    }
}
