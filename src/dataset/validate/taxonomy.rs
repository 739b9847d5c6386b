//! Taxonomy: each taxon has one parent, no rank is missing above a known one, and the narrowest is what the record is called.

use std::collections::HashMap;

use crate::dataset::labels::Names;
use crate::dataset::record::{Column, Columns, is_blank};
use crate::dataset::schema;
use crate::dataset::taxonomy::RANKS;
use crate::dataset::validate::check::{Check, Row};
use crate::dataset::validate::report::{Report, Severity};

/// Ranks that a taxon below them always has; subfamilies and tribes are often not named.
const ALWAYS: [&str; 5] = ["phylum", "class", "order", "family", "genus"];

pub(super) fn checks(columns: &Columns) -> Vec<Box<dyn Check>> {
    let ranks: Vec<(&str, Column)> = RANKS.into_iter().filter_map(|rank| Some((rank, columns.find(rank)?))).collect();
    let mut pairs: Vec<[(&str, Column); 2]> = ranks.windows(2).map(|pair| [pair[1], pair[0]]).collect();
    // Tribe and subfamily are rarely known, so that between genus and family much would go unseen.
    let at = |rank: &str| ranks.iter().copied().find(|(name, _)| *name == rank);
    let is_there = pairs.iter().any(|[child, parent]| child.0 == "genus" && parent.0 == "family");
    if let (Some(genus), Some(family), false) = (at("genus"), at("family"), is_there) {
        pairs.push([genus, family]);
    }
    let mut checks: Vec<Box<dyn Check>> = Vec::new();
    for [(child_rank, child), (parent_rank, parent)] in pairs {
        checks.push(Box::new(Parents { child_rank, child, parent_rank, parent, names: Names::default(), pairs: HashMap::new() }));
    }
    checks.push(Box::new(Lineage { genus: at("genus"), species: at("species"), called: schema::find(columns, "name"), ranks }));
    checks
}

/// Whether each taxon of one rank always lies in the same one of a wider rank.
struct Parents {
    child_rank: &'static str,
    child: Column,
    parent_rank: &'static str,
    parent: Column,
    names: Names,
    /// (child, parent) → rows, and the place of the first.
    pairs: HashMap<(u32, u32), (u64, String)>,
}

impl Check for Parents {
    fn row(&mut self, row: &Row, _report: &mut Report) {
        let (child, parent) = (self.child.of(row.cells), self.parent.of(row.cells));
        if !is_blank(child) && !is_blank(parent) {
            let key = (self.names.number(child), self.names.number(parent));
            self.pairs.entry(key).or_insert_with(|| (0, (row.place)())).0 += 1;
        }
    }

    fn finish(&mut self, report: &mut Report) {
        let mut parents: HashMap<u32, Vec<(u32, u64, &str)>> = HashMap::new();
        for ((child, parent), (rows, place)) in &self.pairs {
            parents.entry(*child).or_default().push((*parent, *rows, place));
        }
        let name = |id: u32| self.names.all().get(id as usize).map_or("", String::as_str);
        let mut torn: Vec<_> = parents.into_iter().filter(|(_, parents)| parents.len() > 1).collect();
        torn.sort_by_key(|(child, _)| name(*child));
        for (child, mut parents) in torn {
            parents.sort_by_key(|(parent, rows, _)| (std::cmp::Reverse(*rows), name(*parent)));
            let rows_of_others: u64 = parents.iter().skip(1).map(|(_, rows, _)| rows).sum();
            let parents = parents.iter().map(|(parent, rows, place)| format!("{} in {rows} rows ({place} first)", name(*parent)));
            let kind = format!("a {} lies in more than one {}", self.child_rank, self.parent_rank);
            let example = || format!("{}: {}", name(child), parents.collect::<Vec<_>>().join(", "));
            report.add_many(Severity::Warning, &kind, rows_of_others, example);
        }
    }
}

/// The ranks of one record beside each other.
struct Lineage {
    ranks: Vec<(&'static str, Column)>,
    genus: Option<(&'static str, Column)>,
    species: Option<(&'static str, Column)>,
    /// `name` or `taxon`: the narrowest known rank once more.
    called: Option<Column>,
}

impl Check for Lineage {
    fn row(&mut self, row: &Row, report: &mut Report) {
        let known = |column: &Column| Some(column.of(row.cells)).filter(|taxon| !is_blank(taxon));
        let narrowest = self.ranks.iter().rposition(|(_, column)| known(column).is_some());
        let Some((narrowest, (rank, column))) = narrowest.and_then(|index| Some((index, self.ranks.get(index)?))) else { return };
        for (wider, _) in
            self.ranks.iter().take(narrowest).filter(|(wider, column)| ALWAYS.contains(wider) && known(column).is_none())
        {
            let kind = format!("the {wider} is missing where a narrower rank is known");
            report.add(Severity::Warning, &kind, || row.says(format_args!("{rank} {}", column.of(row.cells))));
        }
        let both = (self.genus.and_then(|(_, column)| known(&column)), self.species.and_then(|(_, column)| known(&column)));
        if let (Some(genus), Some(species)) = both
            && species.split(' ').next() != Some(genus)
        {
            let example = || row.says(format_args!("species {species}, genus {genus}"));
            report.add(Severity::Warning, "the species does not begin with its genus", example);
        }
        if let Some(called) = self.called.and_then(|column| known(&column)) {
            let taxon = column.of(row.cells);
            if called != taxon {
                let example = || row.says(format_args!("called {called}, {rank} {taxon}"));
                report.add(Severity::Warning, "the record is not called by its narrowest rank", example);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::dataset::validate::found_tests::found;

    #[test]
    fn a_genus_has_one_family_and_the_rarer_one_is_the_finding() {
        let found = found(
            "image_file,chunk_number,family,subfamily,genus
a.jpg,1,Phoridae,,Megaselia\nb.jpg,1,Phoridae,,Megaselia\nc.jpg,1,Sciaridae,,Megaselia\nd.jpg,1,not_classified,,Megaselia\ne.jpg,1,Phoridae,,Aus\n",
        );
        let missing =
            ("warning", "the family is missing where a narrower rank is known".into(), 1, "line 5: genus Megaselia".into());
        let example = "Megaselia: Phoridae in 2 rows (line 2 first), Sciaridae in 1 rows (line 4 first)";
        assert_eq!(found, [missing, ("warning", "a genus lies in more than one family".into(), 1, example.into())]);
    }

    #[test]
    fn the_ranks_of_a_record_agree_with_each_other() {
        let found = found(
            "image_file,chunk_number,name,genus,species
a.jpg,1,Asteia amoena,not_classified,Asteia amoena\nb.jpg,1,Asteia,Asteia,Asteia amoena\nc.jpg,1,Aus bus,Cus,Aus bus\nd.jpg,1,NA,NA,\n",
        );
        let kinds: Vec<_> = found.iter().map(|(_, kind, _, first)| (kind.as_str(), first.as_str())).collect();
        assert_eq!(
            kinds,
            [
                ("the genus is missing where a narrower rank is known", "line 2: species Asteia amoena"),
                ("the record is not called by its narrowest rank", "line 3: called Asteia, species Asteia amoena"),
                ("the species does not begin with its genus", "line 4: species Aus bus, genus Cus"),
            ]
        );
    }
}
