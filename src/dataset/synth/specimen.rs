//! the number of a specimen → its 28 cells.
//!
//! Orders and the 40 families are the published ones. The rest is plausible and made up: plates of 95 wells, BINs with a barcode each,
//! lower ranks known about as often as published. Whoever meets a row alone reads SYNTHETIC in its copyright.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::dataset::record::{NOT_CLASSIFIED, SYNTHETIC_PHOTOGRAPHER, StringRecord};
use crate::dataset::synth::census::{self, CENSUS, Kind};
use crate::dataset::taxonomy::DIPTERA;
use crate::random::{Purpose, stream};

/// Families of the orders, for show: no task asks for them.
const OTHER_FAMILIES: [(&str, &[&str]); 19] = [
    (
        DIPTERA,
        &[
            "Asilidae",
            "Asteiidae",
            "Calliphoridae",
            "Camillidae",
            "Chaoboridae",
            "Chyromyidae",
            "Dixidae",
            "Lonchaeidae",
            "Lonchopteridae",
            "Micropezidae",
            "Odiniidae",
            "Opomyzidae",
            "Periscelididae",
            "Piophilidae",
            "Platypezidae",
            "Platystomatidae",
            "Rhagionidae",
            "Scathophagidae",
            "Sciomyzidae",
            "Tabanidae",
            "Tipulidae",
            "Trichoceridae",
        ],
    ),
    ("Hymenoptera", &["Braconidae", "Ichneumonidae", "Platygastridae", "Eulophidae", "Mymaridae", "Diapriidae", "Formicidae"]),
    ("Coleoptera", &["Staphylinidae", "Curculionidae", "Chrysomelidae", "Latridiidae", "Carabidae", "Ptiliidae"]),
    ("Hemiptera", &["Cicadellidae", "Aphididae", "Delphacidae", "Aleyrodidae", "Miridae", "Psyllidae"]),
    ("Lepidoptera", &["Gelechiidae", "Gracillariidae", "Crambidae", "Tineidae", "Erebidae", "Noctuidae"]),
    ("Psocodea", &["Ectopsocidae", "Caeciliusidae", "Psocidae", "Lepidopsocidae"]),
    ("Thysanoptera", &["Thripidae", "Phlaeothripidae", "Aeolothripidae"]),
    ("Trichoptera", &["Hydroptilidae", "Hydropsychidae", "Leptoceridae"]),
    ("Orthoptera", &["Trigonidiidae", "Acrididae", "Tettigoniidae", "Gryllidae"]),
    ("Blattodea", &["Ectobiidae", "Blattidae", "Termitidae"]),
    ("Neuroptera", &["Coniopterygidae", "Chrysopidae", "Hemerobiidae"]),
    ("Ephemeroptera", &["Baetidae", "Caenidae", "Leptophlebiidae"]),
    ("Dermaptera", &["Spongiphoridae", "Forficulidae"]),
    ("Archaeognatha", &["Machilidae", "Meinertellidae"]),
    ("Plecoptera", &["Nemouridae", "Leuctridae"]),
    ("Embioptera", &["Teratembiidae", "Oligotomidae"]),
    ("Strepsiptera", &["Elenchidae"]),
    ("Zoraptera", &["Zorotypidae"]),
    ("Odonata", &["Coenagrionidae"]),
];

/// One synthetic specimen, by number.
#[derive(Clone, Copy, Debug)]
pub struct Specimen {
    /// 0-based position in the file.
    pub number: u64,
    /// What it is.
    pub kind: Kind,
    /// Position of the kind in [`CENSUS`].
    pub kind_index: u8,
    seed: u64,
    chunk: u64,
}

/// All specimens of a dataset.
#[derive(Debug)]
pub struct Specimens {
    kinds: Vec<u8>,
    seed: u64,
    per_chunk: u64,
    /// The barcode that each kind's BINs are variations of.
    barcodes: Vec<[u8; BARCODE]>,
}

/// Bases of a COI barcode.
const BARCODE: usize = 658;
/// Bases in which a BIN differs from its kind, and a specimen from its BIN (about 10 % and 0.6 %).
const BIN_CHANGES: usize = 66;
const SPECIMEN_CHANGES: usize = 4;
/// More BINs than any kind has; keeps the numbers of two kinds apart.
const MOST_BINS: u64 = 30_000;

impl Specimens {
    /// The specimens of a dataset of `total`, `per_chunk` in a chunk.
    #[must_use]
    pub fn new(total: u64, per_chunk: u64, seed: u64) -> Self {
        let barcodes = (0..CENSUS.len() as u64)
            .map(|kind| {
                let mut rng = stream(seed, Purpose::SynthRecord, 1, kind);
                std::array::from_fn(|_| base(&mut rng))
            })
            .collect();
        Self { kinds: census::kinds(total, seed), seed, per_chunk: per_chunk.max(1), barcodes }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.kinds.len() as u64
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The specimens numbered from `range.start` up to `range.end`, as far as there are any.
    pub fn range(&self, range: std::ops::Range<u64>) -> impl Iterator<Item = Specimen> + '_ {
        (range.start..range.end.min(self.len())).filter_map(|number| {
            let kind_index = *self.kinds.get(number as usize)?;
            let kind = *CENSUS.get(kind_index as usize)?;
            Some(Specimen { number, kind, kind_index, seed: self.seed, chunk: number / self.per_chunk + 1 })
        })
    }

    /// Writes the 28 cells of `specimen`, in the order of [`COLUMNS`](crate::dataset::record::COLUMNS), into `row`.
    pub fn fill(&self, specimen: &Specimen, row: &mut StringRecord) {
        let mut rng = stream(self.seed, Purpose::SynthRecord, 2, specimen.number);
        let kind = specimen.kind;
        let known = rng.next_u32() % 1000;
        let family = specimen.family();
        let bin = u64::from(rng.next_u32()) % (kind.total / 12 + 1);
        let stem = (family != NOT_CLASSIFIED).then(|| family.trim_end_matches("idae"));
        let rank = |known_of_1000: u32, name: &dyn Fn(&str) -> String| {
            stem.filter(|_| known < known_of_1000).map_or_else(|| NOT_CLASSIFIED.to_owned(), name)
        };
        let genus_of = |stem: &str| format!("{stem}{}", ["ella", "opsis", "oides", "ina"][bin as usize % 4]);
        // The narrower the rank, the fewer specimens it is known of: shares as published.
        let subfamily = rank(235, &|stem| format!("{stem}inae"));
        let tribe = rank(54, &|stem| format!("{stem}ini"));
        let genus = rank(225, &genus_of);
        let species = rank(75, &|stem| format!("{} sp. {bin}", genus_of(stem)));
        let name = [species.as_str(), &genus, &subfamily, family, kind.order].into_iter().find(|name| *name != NOT_CLASSIFIED);

        row.clear();
        let sample = specimen.sample();
        row.push_field(&sample);
        row.push_field(&format!("SYNTH{:07}-23", specimen.number + 1));
        row.push_field(&bin_name(u64::from(specimen.kind_index) * MOST_BINS + bin));
        row.push_field(name.unwrap_or(kind.order));
        for cell in ["Arthropoda", "Insecta", kind.order, family, &subfamily, &tribe, &genus, &species, NOT_CLASSIFIED] {
            row.push_field(cell);
        }
        row.push_field(&self.barcode(specimen.kind_index, bin, &mut rng));
        row.push_field(&format!("{sample}.jpg"));
        (0..6).for_each(|_| row.push_field(""));
        row.push_field(&specimen.chunk.to_string());
        for cell in ["SYNTHETIC: no rights reserved", "SYNTHETIC", "SYNTHETIC", "SYNTHETIC", SYNTHETIC_PHOTOGRAPHER, "SYNTHETIC"]
        {
            row.push_field(cell);
        }
    }

    fn barcode(&self, kind: u8, bin: u64, specimen: &mut ChaCha8Rng) -> String {
        let mut bases = self.barcodes.get(kind as usize).copied().unwrap_or([b'N'; BARCODE]);
        let mut of_bin = stream(self.seed, Purpose::SynthRecord, 3, u64::from(kind) * MOST_BINS + bin);
        mutate(&mut bases, BIN_CHANGES, &mut of_bin);
        mutate(&mut bases, SPECIMEN_CHANGES, specimen);
        String::from_utf8_lossy(&bases).into_owned()
    }
}

impl Specimen {
    /// Its collector's id: plate and well, 95 specimens a plate (the last well is the control): `BIOUG10000-A01`.
    #[must_use]
    pub fn sample(&self) -> String {
        let (plate, well) = (10_000 + self.number / 95, self.number % 95);
        let row = char::from(b'A' + (well / 12) as u8);
        format!("BIOUG{plate}-{row}{:02}", well % 12 + 1)
    }

    /// Its family, or that it is not known: for one specimen in 73, as published.
    ///
    /// Each of the other families of Diptera must stay smaller than the 40th of the task, so they are equally likely and a third of
    /// these specimens is left unclassified.
    #[must_use]
    pub fn family(&self) -> &'static str {
        let made_up = || {
            let mut rng = stream(self.seed, Purpose::SynthRecord, 4, self.number);
            let (_, families) = OTHER_FAMILIES.iter().find(|(order, _)| *order == self.kind.order)?;
            let known = !rng.next_u32().is_multiple_of(if self.kind.order == DIPTERA { 3 } else { 17 });
            families.get(rng.next_u32() as usize % families.len()).filter(|_| known).copied()
        };
        self.kind.family.or_else(made_up).unwrap_or(NOT_CLASSIFIED)
    }

    /// Its photograph's name.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{}.jpg", self.sample())
    }

    /// What is random in its photograph.
    #[must_use]
    pub fn rng(&self) -> ChaCha8Rng {
        stream(self.seed, Purpose::SynthPicture, 0, self.number)
    }
}

fn base(rng: &mut ChaCha8Rng) -> u8 {
    b"ACGT"[rng.next_u32() as usize % 4]
}

fn mutate(bases: &mut [u8; BARCODE], changes: usize, rng: &mut ChaCha8Rng) {
    for _ in 0..changes {
        let draw = rng.next_u32() as usize;
        bases[draw / 4 % BARCODE] = b"ACGT"[draw % 4];
    }
}

/// `BOLD:AAA0000` and on: three letters and four digits.
fn bin_name(number: u64) -> String {
    let (letters, digits) = (number / 10_000, number % 10_000);
    let letter = |power: u32| char::from(b'A' + (letters / 26u64.pow(power) % 26) as u8);
    format!("BOLD:{}{}{}{digits:04}", letter(2), letter(1), letter(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::record::{COLUMNS, Columns};

    #[test]
    fn a_row_has_all_28_columns_and_is_the_same_every_time() {
        let specimens = Specimens::new(452, 4, 1);
        let columns = Columns::new(std::path::Path::new(""), COLUMNS.map(str::to_owned).to_vec()).unwrap();
        let (mut row, mut again) = (StringRecord::new(), StringRecord::new());
        for specimen in specimens.range(0..452) {
            specimens.fill(&specimen, &mut row);
            specimens.fill(&specimen, &mut again);
            assert_eq!(row, again);
            let cell = |name: &str| columns.require(name).unwrap().of(&row).to_owned();
            assert_eq!(row.len(), 28);
            assert_eq!(cell("order"), specimen.kind.order);
            assert_eq!(cell("chunk_number"), (specimen.number / 4 + 1).to_string());
            assert_eq!(cell("image_file"), format!("{}.jpg", cell("sampleid")));
            assert_eq!(cell("photographer"), SYNTHETIC_PHOTOGRAPHER);
            assert_eq!(cell("nucraw").len(), 658);
            assert!(cell("nucraw").bytes().all(|base| b"ACGT".contains(&base)));
            assert!(specimen.kind.family.is_none_or(|family| cell("family") == family));
        }
    }

    #[test]
    fn names_are_unique_and_look_like_the_published_ones() {
        let specimens = Specimens::new(20_000, 200, 1);
        let files: std::collections::HashSet<String> = specimens.range(0..20_000).map(|specimen| specimen.file()).collect();
        assert_eq!(files.len(), 20_000);
        assert!(
            files.contains("BIOUG10000-A01.jpg") && files.contains("BIOUG10000-H11.jpg") && !files.contains("BIOUG10000-H12.jpg")
        );
        assert_eq!(bin_name(12_345), "BOLD:AAB2345");
    }
}
