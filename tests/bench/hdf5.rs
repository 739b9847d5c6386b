//! small images → CPU time of writing 10,000 of them in the published HDF5 layout, ours and h5py's.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bioscan_hpc::config::Fit;
use bioscan_hpc::container::{Hdf5Writer, ImageKey, Writer};
use bioscan_hpc::image::{Filter, Target as Resized, decode_for, encode, resize};

use crate::Result;
use crate::contest::{Contender, Cost, contest};
use crate::peers::{Peer, Request};
use crate::photographs::Photographs;
use crate::statistics::Spread;
use crate::table::{Group, Row, Target, Unit};

const IMAGES: usize = 10_000;
const TARGET: Target = Target::AtLeast(3.0);

/// One file against the other.
pub fn measure(rounds: usize, folder: &Path, versions: &mut BTreeMap<String, String>) -> Result<Group> {
    eprintln!("hdf5");
    let photographs = Photographs::small(folder)?;
    let small = folder.join("small");
    fs::create_dir_all(&small)?;
    let (mut jpegs, mut files) = (Vec::new(), Vec::new());
    for (number, original) in photographs.read()?.iter().enumerate() {
        let (picture, size) = decode_for(original, Resized { fit: Fit::Shorter, length: 256 })?;
        let jpeg = encode(&resize(&picture, size, Filter::Lanczos3)?, 75)?;
        files.push(small.join(format!("{number}.jpg")));
        fs::write(&files[number], &jpeg)?;
        jpegs.push(jpeg);
    }
    let figure = format!("HDF5 of {IMAGES} images, against h5py");
    let row = match Peer::start("hdf5") {
        Err(why) => Row::not_measured(figure, Unit::Times, TARGET, why),
        Ok(mut peer) => {
            versions.extend(peer.versions.clone());
            let request = Request { files, repetitions: IMAGES, out: folder.join("theirs.hdf5") };
            let ours = folder.join("ours.hdf5");
            let mut contenders =
                vec![Contender::new("ours", || Cost::of(|| write(&ours, &jpegs))), Contender::new("h5py", || peer.ask(&request))];
            let costs = contest(&mut contenders, rounds)?;
            Row {
                figure,
                ours: costs[0].cpu_ms(),
                peer: costs[1].cpu_ms(),
                value: Some(Spread::of_ratios(&costs[1].cpu, &costs[0].cpu)),
                unit: Unit::Times,
                target: TARGET,
            }
        }
    };
    let mean = jpegs.iter().map(Vec::len).sum::<usize>() / jpegs.len();
    let notes = vec![format!(
        "The published layout (a group, one uint8 dataset an image) from memory, images of {mean} bytes in the mean; CPU time of the \
         whole file. Ours also syncs it to the disk and publishes it by a rename."
    )];
    Ok(Group { title: "HDF5".into(), rows: vec![row], notes })
}

fn write(path: &Path, jpegs: &[Vec<u8>]) -> Result<()> {
    let mut writer = Box::new(Hdf5Writer::create(path, &[])?);
    for (number, jpeg) in jpegs.iter().cycle().take(IMAGES).enumerate() {
        writer.add(&ImageKey::new(1, format!("{number:08}.jpg")), jpeg)?;
    }
    Ok(writer.finish()?)
}
