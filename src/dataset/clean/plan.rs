//! What a cleaning does to one row, as a function of the row alone.

use crate::dataset::clean::facts::{ImageFacts, ImageTable};
use crate::dataset::clean::fixes::{Fixes, Found};
use crate::dataset::clean::ledger::Entry;
use crate::dataset::place::{Place, Places};
use crate::dataset::record::{Column, Columns, NOT_CLASSIFIED, StringRecord};
use crate::dataset::schema::{self, Schema};
use crate::dataset::taxonomy::RANKS;
use crate::error::{Error, Result};

/// What to do.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Made first, in their order.
    pub fixes: Fixes,
    /// A missing genus becomes the first word of its species.
    pub genus_from_species: bool,
    /// All words for an unknown taxon become the one of the table's form.
    pub placeholders: bool,
    /// Columns to add.
    pub derive: Vec<Derived>,
    /// What to do about images that cannot be used, and about duplicates.
    pub images: Images,
    /// What is known of the images.
    pub facts: ImageTable,
}

/// What becomes of the records of bad and duplicate images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Images {
    /// They stay as they are.
    #[default]
    Keep,
    /// They stay, and the columns `image_fault` and `duplicate_of` say so.
    Mark,
    /// They go.
    Drop,
}

/// A column that follows from the row or its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derived {
    /// Bases of the barcode, without the N before and behind it.
    BarcodeLength,
    /// Pixels in a row.
    ImageWidth,
    /// Rows of pixels.
    ImageHeight,
    /// Bytes of the file.
    ImageBytes,
    /// blake3 of these.
    ImageBlake3,
    /// Pixels that the organism covers in the photograph, as the contrast detector sees it; 0 where it sees none.
    OrganismPixels,
}

impl Derived {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::BarcodeLength, Self::ImageWidth, Self::ImageHeight, Self::ImageBytes, Self::ImageBlake3, Self::OrganismPixels];

    /// The column's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BarcodeLength => "barcode_length",
            Self::ImageWidth => "image_width",
            Self::ImageHeight => "image_height",
            Self::ImageBytes => "image_bytes",
            Self::ImageBlake3 => "image_blake3",
            Self::OrganismPixels => "organism_pixels",
        }
    }

    /// Whether one must have looked at the images to know it.
    #[must_use]
    pub fn needs_images(self) -> bool {
        self != Self::BarcodeLength
    }

    fn of(self, facts: &ImageFacts) -> String {
        match self {
            Self::ImageWidth => facts.width.to_string(),
            Self::ImageHeight => facts.height.to_string(),
            Self::ImageBytes => facts.bytes.to_string(),
            Self::ImageBlake3 => facts.blake3.clone(),
            Self::OrganismPixels => facts.organism_pixels.map_or_else(String::new, |pixels| pixels.to_string()),
            Self::BarcodeLength => String::new(),
        }
    }
}

const IMAGE_FAULT: &str = "image_fault";
const DUPLICATE_OF: &str = "duplicate_of";

/// Words that collectors write for "unknown", in lower case. `NA` and `None` are not among them: they are names of genera.
const UNKNOWN: [&str; 7] = ["", NOT_CLASSIFIED, "no_data", "not classified", "unclassified", "unknown", "n/a"];

/// A plan with its columns found in one table.
pub(super) struct Rules<'a> {
    plan: &'a Plan,
    columns: Columns,
    schema: Schema,
    fixes: Vec<Found>,
    taxa: Vec<Column>,
    genus_and_species: Option<(Column, Column)>,
    barcode: Option<Column>,
    /// What says where a record's image lies.
    places: Option<Places>,
    /// Columns the result has behind the table's own.
    pub added: Vec<String>,
}

impl<'a> Rules<'a> {
    pub fn find(plan: &'a Plan, columns: &Columns) -> Result<Self> {
        let taxa = RANKS.into_iter().chain(["name"]).filter_map(|name| schema::find(columns, name)).collect();
        let mark = if plan.images == Images::Mark { vec![IMAGE_FAULT, DUPLICATE_OF] } else { vec![] };
        let added: Vec<String> = plan.derive.iter().map(|derived| derived.name()).chain(mark).map(str::to_owned).collect();
        if let Some(there) = added.iter().find(|name| columns.find(name).is_some()) {
            return Err(Error::usage(format!("the table has a column `{there}` already")).with_help("rename or remove it"));
        }
        if let Some((_, twice)) =
            added.iter().enumerate().find(|(index, name)| added.iter().take(*index).any(|other| other == *name))
        {
            return Err(Error::usage(format!("the column `{twice}` is to be added twice")).with_help("name it once"));
        }
        let genus_and_species = columns.find("genus").zip(columns.find("species"));
        if plan.genus_from_species && genus_and_species.is_none() {
            return Err(Error::usage("a missing genus is to be taken from the species, but the table has not both columns"));
        }
        let places = Places::find(columns);
        if places.is_none() && (plan.images != Images::Keep || plan.derive.iter().any(|derived| derived.needs_images())) {
            return Err(Error::usage("the table has no columns that say where its images lie"));
        }
        Ok(Self {
            plan,
            columns: columns.clone(),
            schema: Schema::of(columns),
            fixes: plan.fixes.fix.iter().map(|fix| Found::find(fix, columns)).collect::<Result<_>>()?,
            taxa,
            genus_and_species,
            barcode: schema::find(columns, "dna_barcode"),
            places,
            added,
        })
    }

    /// Changes `cells`, those of the added columns included, and returns the entries that say how; [`Entry::Removed`] stands alone.
    /// `row` is the row as it was.
    pub fn apply(&self, number: u64, row: &StringRecord, cells: &mut [String]) -> Vec<Entry> {
        let looked = self.plan.images != Images::Keep || !self.plan.facts.is_empty();
        let place: Option<Place> = self.places.filter(|_| looked).map(|places| places.of(row));
        let facts = place.and_then(|place| self.plan.facts.get(&place));
        if let (Images::Drop, Some(why)) = (self.plan.images, reason(facts)) {
            return vec![Entry::Removed { row: number, cells: row.iter().map(str::to_owned).collect(), why }];
        }
        let mut edit = Edit { row: number, rules: self, cells, entries: Vec::new() };
        if self.plan.placeholders {
            self.placeholders(&mut edit);
        }
        for fix in &self.fixes {
            if fix.applies(edit.cells) {
                fix.set.iter().for_each(|(column, to)| edit.set(column.0, to, &fix.why));
            }
        }
        if let Some((genus, species)) = self.genus_and_species.filter(|_| self.plan.genus_from_species) {
            let species = edit.cells.get(species.0).cloned().unwrap_or_default();
            if edit.cells.get(genus.0).is_some_and(|genus| is_unknown(genus)) && !is_unknown(&species) {
                edit.set(genus.0, species.split_whitespace().next().unwrap_or_default(), "the species names its genus");
            }
        }
        self.derive(&mut edit, facts);
        edit.entries
    }

    fn placeholders(&self, edit: &mut Edit) {
        for Column(index) in &self.taxa {
            let name = self.columns.names().get(*index).map_or("", String::as_str);
            if edit.cells.get(*index).is_some_and(|cell| is_unknown(cell)) {
                edit.set(*index, self.schema.missing(name), "one sign for an unknown taxon");
            }
        }
    }

    fn derive(&self, edit: &mut Edit, facts: Option<&ImageFacts>) {
        let first = self.columns.names().len();
        for (index, derived) in (first..).zip(&self.plan.derive) {
            let value = match (derived, facts) {
                (Derived::BarcodeLength, _) => {
                    let barcode = self.barcode.and_then(|Column(index)| edit.cells.get(index));
                    barcode.map(|barcode| barcode.trim_matches('N').len().to_string())
                }
                (_, facts) => facts.filter(|facts| facts.fault.is_none()).map(|facts| derived.of(facts)),
            };
            edit.set(index, value.as_deref().unwrap_or_default(), "derived");
        }
        if self.plan.images == Images::Mark {
            let index = first + self.plan.derive.len();
            let original = facts.and_then(|facts| facts.duplicate_of.as_deref());
            edit.set(index, fault(facts).unwrap_or_default(), "the image cannot be used");
            edit.set(index + 1, original.unwrap_or_default(), "the image is another's");
        }
    }
}

fn is_unknown(taxon: &str) -> bool {
    UNKNOWN.contains(&taxon.trim().to_lowercase().as_str())
}

/// Why an image cannot be used; one of which nothing is known, though all were looked at, is not there.
fn fault(facts: Option<&ImageFacts>) -> Option<&str> {
    facts.map_or(Some("missing"), |facts| facts.fault.as_deref())
}

fn reason(facts: Option<&ImageFacts>) -> Option<String> {
    let duplicate = || Some(format!("the image is that of {}", facts?.duplicate_of.as_ref()?));
    fault(facts).map(|fault| format!("the image cannot be used: {fault}")).or_else(duplicate)
}

/// A row being changed.
struct Edit<'a> {
    row: u64,
    rules: &'a Rules<'a>,
    cells: &'a mut [String],
    entries: Vec<Entry>,
}

impl Edit<'_> {
    fn set(&mut self, index: usize, to: &str, why: &str) {
        let own = self.rules.columns.names();
        let Some(column) = own.get(index).or_else(|| self.rules.added.get(index - own.len())) else { return };
        let Some(cell) = self.cells.get_mut(index).filter(|cell| *cell != to) else { return };
        let from = std::mem::replace(cell, to.to_owned());
        let (row, column, to, why) = (self.row, column.clone(), to.to_owned(), why.to_owned());
        self.entries.push(Entry::Changed { row, column, from, to, why });
    }
}
