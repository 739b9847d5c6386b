//! photographs → CPU time of one resize to 256 rows and back to JPEG, ours over each peer's, and how near the pixels come.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bioscan_hpc::config::Fit;
use bioscan_hpc::image::{Filter, RgbImage, Size, Target as Resized, decode_for, encode, resize};
use turbojpeg::{Decompressor, Image, PixelFormat, ScalingFactor};

use crate::Result;
use crate::contest::{Contender, Cost, contest};
use crate::peers::{Peer, Request};
use crate::photographs::Photographs;
use crate::statistics::{Spread, psnr};
use crate::table::{Group, Row, Target, Unit};

/// What everybody makes: 256 rows, JPEG of quality 75, as the original's command does.
const BECOMES: Resized = Resized { fit: Fit::Height, length: 256 };
const QUALITY: u8 = 75;

/// A ratio of under a millisecond needs more than one look; a peer that takes 100 ms does not.
const REPETITIONS: usize = 3;

/// A peer: its method in `peers.py`, what it is, how often it repeats, and by how much ours is to be faster.
type Against = (&'static str, &'static str, usize, f64);

const LARGE: [Against; 5] = [
    ("convert", "the original's command (PIL verify, `convert -resize x256`)", 1, 28.0),
    ("pil_full", "Pillow, full decode, Lanczos", 1, 8.0),
    ("pil_draft", "Pillow `draft`, Lanczos", REPETITIONS, 1.6),
    ("vips_thumbnail", "pyvips `thumbnail`", REPETITIONS, 1.9),
    ("opencv_reduced", "OpenCV, decode at 1/4, area", REPETITIONS, 1.2),
];
const SMALL: [Against; 5] = [
    ("convert", "the original's command (PIL verify, `convert -resize x256`)", 1, 35.0),
    ("pil_full", "Pillow, full decode, Lanczos", 1, 4.0),
    ("pil_draft", "Pillow `draft`, Lanczos", 1, 3.5),
    ("vips_thumbnail", "pyvips `thumbnail`", 1, 3.7),
    ("opencv_full", "OpenCV, full decode, area", REPETITIONS, 1.5),
];

/// Both sizes of originals.
pub fn measure(rounds: usize, folder: &Path, versions: &mut BTreeMap<String, String>) -> Result<Vec<Group>> {
    Ok(vec![
        of(&Photographs::large(folder)?, &LARGE, rounds, folder, versions)?,
        of(&Photographs::small(folder)?, &SMALL, rounds, folder, versions)?,
    ])
}

fn of(
    photographs: &Photographs,
    against: &[Against],
    rounds: usize,
    folder: &Path,
    versions: &mut BTreeMap<String, String>,
) -> Result<Group> {
    eprintln!("resize, {}", photographs.size());
    let (jpegs, images) = (photographs.read()?, photographs.files.len());
    let mut contenders = vec![
        Contender::new("ours", || Ok(repeat(&jpegs, |jpeg| ours(jpeg).map(drop))?.per(REPETITIONS * images))),
        Contender::new("decode at 1/8", || {
            let mut decompressor = Decompressor::new()?;
            decompressor.set_scaling_factor(ScalingFactor::ONE_EIGHTH)?;
            Ok(repeat(&jpegs, |jpeg| decode_scaled(&mut decompressor, jpeg))?.per(REPETITIONS * images))
        }),
    ];
    let mut rows = Vec::new();
    let mut present = Vec::new();
    for &(method, name, repetitions, target) in against {
        let figure = format!("{}, against {name}", photographs.size());
        match Peer::start(method) {
            Ok(mut peer) => {
                versions.extend(peer.versions.clone());
                let request = Request { files: photographs.files.clone(), repetitions, ..Request::default() };
                contenders.push(Contender::new(method, move || Ok(peer.ask(&request)?.per(repetitions * images))));
                present.push((figure, target));
            }
            Err(why) => rows.push(Row::not_measured(figure, Unit::Times, Target::AtLeast(target), why)),
        }
    }
    let costs = contest(&mut contenders, rounds)?;
    let (ours, eighth, peers) = (&costs[0], &costs[1], &costs[2..]);
    rows.extend(present.into_iter().zip(peers).map(|((figure, target), peer)| Row {
        figure,
        ours: ours.cpu_ms(),
        peer: peer.cpu_ms(),
        value: Some(Spread::of_ratios(&peer.cpu, &ours.cpu)),
        unit: Unit::Times,
        target: Target::AtLeast(target),
    }));
    rows.push(Row {
        figure: format!("{}, entropy decoding's share of ours", photographs.size()),
        ours: ours.cpu_ms(),
        peer: format!("{} (decode at 1/8)", eighth.cpu_ms()),
        value: Some(Spread::of_ratios(&eighth.cpu, &ours.cpu)),
        unit: Unit::Share,
        target: Target::Stated,
    });
    rows.push(nearness(photographs, &jpegs, folder)?);
    Ok(Group { title: format!("Resize to 256 rows, {}", photographs.size()), rows, notes: notes(photographs, &jpegs) })
}

fn notes(photographs: &Photographs, jpegs: &[Vec<u8>]) -> Vec<String> {
    let mean = jpegs.iter().map(Vec::len).sum::<usize>() / jpegs.len();
    vec![
        format!("{}, {} kB in the mean; CPU time (user + system) an image, one thread each.", photographs.origin, mean / 1000),
        "JPEG in memory → 341×256, JPEG of quality 75 in memory; the original's command goes from file to file. Ours optimises the \
         Huffman tables, as ImageMagick does; the other peers write with their defaults, which cost them less."
            .into(),
        "Entropy decoding cannot be measured alone: decoding at 1/8 reads every coefficient, keeps one of 64 and makes 1/64 of the \
         pixels, so it is a little above the floor."
            .into(),
    ]
}

fn repeat(jpegs: &[Vec<u8>], mut work: impl FnMut(&[u8]) -> Result<()>) -> Result<Cost> {
    Cost::of(|| (0..REPETITIONS).try_for_each(|_| jpegs.iter().try_for_each(|jpeg| work(jpeg))))
}

/// What `preprocess` does with an original that is not cropped.
fn ours(jpeg: &[u8]) -> Result<Vec<u8>> {
    Ok(encode(&ours_before_jpeg(jpeg)?, QUALITY)?)
}

fn ours_before_jpeg(jpeg: &[u8]) -> Result<RgbImage> {
    let (picture, size) = decode_for(jpeg, BECOMES)?;
    Ok(resize(&picture, size, Filter::Lanczos3)?)
}

fn decode_scaled(decompressor: &mut Decompressor, jpeg: &[u8]) -> Result<()> {
    let header = decompressor.read_header(jpeg)?.scaled(decompressor.scaling_factor());
    let (width, height, pitch) = (header.width, header.height, 3 * header.width);
    let mut pixels = vec![0u8; pitch * height];
    decompressor.decompress(jpeg, Image { pixels: &mut pixels[..], width, pitch, height, format: PixelFormat::RGB })?;
    Ok(())
}

/// Our pixels against ImageMagick's, both before any JPEG.
fn nearness(photographs: &Photographs, jpegs: &[Vec<u8>], folder: &Path) -> Result<Row> {
    let figure = format!("{}, pixels against ImageMagick's before JPEG (PSNR, mean)", photographs.size());
    let target = Target::AtLeast(50.0);
    let mut peer = match Peer::start("convert_pixels") {
        Ok(peer) => peer,
        Err(why) => return Ok(Row::not_measured(figure, Unit::Decibels, target, why)),
    };
    let out = folder.join(format!("imagemagick-{}", photographs.width));
    fs::create_dir_all(&out)?;
    peer.ask(&Request { files: photographs.files.clone(), repetitions: 1, out: out.clone() })?;
    let mut decibels = Vec::new();
    for (number, jpeg) in jpegs.iter().enumerate() {
        let (ours, theirs) = (ours_before_jpeg(jpeg)?, read_ppm(&fs::read(out.join(format!("{number}.ppm")))?)?);
        if ours.size() != theirs.size() {
            return Err(format!("ImageMagick made {:?}, ours {:?}", theirs.size(), ours.size()).into());
        }
        decibels.push(psnr(&ours.pixels, &theirs.pixels));
    }
    let value = Some(Spread::mean(&decibels));
    Ok(Row { figure, ours: "–".into(), peer: "–".into(), value, unit: Unit::Decibels, target })
}

/// A binary PPM without comments, as ImageMagick writes it: `P6`, width, height, 255, one white space, the pixels.
fn read_ppm(bytes: &[u8]) -> Result<RgbImage> {
    let bad = || "no PPM of 8 bits";
    let mut fields = bytes.splitn(4, |byte| byte.is_ascii_whitespace()).take(3);
    let mut field = || fields.next().and_then(|field| std::str::from_utf8(field).ok()).ok_or_else(bad);
    let (magic, width, height) = (field()?, field()?.parse()?, field()?.parse()?);
    let size = Size { width, height };
    let start = bytes.len().checked_sub(3 * size.area()).ok_or_else(bad)?;
    if magic != "P6" || !bytes[..start].ends_with(b"\n255\n") {
        return Err(bad().into());
    }
    Ok(RgbImage { pixels: bytes[start..].to_vec(), width, height })
}
