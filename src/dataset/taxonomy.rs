//! The taxonomy of BIOSCAN-1M: its ranks, and how many specimens it holds of each order and of each family of the Diptera task.
//!
//! The totals are Figure 2 of the paper (Gharaee et al. 2023, *A Step Towards Worldwide Biodiversity Assessment*): the only copy of
//! them in this program.

/// The taxonomic columns, from the widest rank to the narrowest.
pub const RANKS: [&str; 9] = ["phylum", "class", "order", "family", "subfamily", "tribe", "genus", "species", "subspecies"];

/// Rows of the published metadata.
pub const SPECIMENS: u64 = 1_128_313;

/// Photographs in a published chunk; the last of the 113 holds the remaining 8,313.
pub const SPECIMENS_PER_CHUNK: u64 = 10_000;

/// The order whose families are the second task.
pub const DIPTERA: &str = "Diptera";

/// Specimens of the 16 orders; five more specimens belong to orders too rare to be split.
pub const ORDERS: [(&str, u64); 16] = [
    ("Diptera", 896_324),
    ("Hymenoptera", 89_311),
    ("Coleoptera", 47_328),
    ("Hemiptera", 46_970),
    ("Lepidoptera", 32_538),
    ("Psocodea", 9_635),
    ("Thysanoptera", 2_088),
    ("Trichoptera", 1_296),
    ("Orthoptera", 1_057),
    ("Blattodea", 824),
    ("Neuroptera", 676),
    ("Ephemeroptera", 96),
    ("Dermaptera", 66),
    ("Archaeognatha", 63),
    ("Plecoptera", 30),
    ("Embioptera", 6),
];

/// Specimens of the 40 most populous families of Diptera.
pub const DIPTERA_FAMILIES: [(&str, u64); 40] = [
    ("Cecidomyiidae", 259_104),
    ("Chironomidae", 150_456),
    ("Phoridae", 135_991),
    ("Sciaridae", 92_276),
    ("Ceratopogonidae", 79_389),
    ("Psychodidae", 46_189),
    ("Dolichopodidae", 35_590),
    ("Sphaeroceridae", 17_717),
    ("Drosophilidae", 12_047),
    ("Hybotidae", 9_595),
    ("Mycetophilidae", 6_363),
    ("Muscidae", 5_974),
    ("Limoniidae", 5_307),
    ("Chloropidae", 5_164),
    ("Scatopsidae", 3_764),
    ("Milichiidae", 3_496),
    ("Ephydridae", 2_756),
    ("Agromyzidae", 2_557),
    ("Tachinidae", 2_286),
    ("Empididae", 2_267),
    ("Anthomyiidae", 2_144),
    ("Heleomyzidae", 1_141),
    ("Lauxaniidae", 1_138),
    ("Sarcophagidae", 941),
    ("Ulidiidae", 833),
    ("Tephritidae", 805),
    ("Stratiomyidae", 726),
    ("Clusiidae", 665),
    ("Pipunculidae", 634),
    ("Sepsidae", 521),
    ("Syrphidae", 518),
    ("Bombyliidae", 465),
    ("Fanniidae", 402),
    ("Keroplatidae", 380),
    ("Ditomyiidae", 369),
    ("Bibionidae", 315),
    ("Richardiidae", 276),
    ("Culicidae", 270),
    ("Simuliidae", 270),
    ("Psilidae", 237),
];
