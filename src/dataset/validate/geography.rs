//! Coordinates: degrees that exist, both or none, and in the country they are said to lie in.

use std::collections::HashMap;

use crate::dataset::record::{Column, Columns};
use crate::dataset::validate::check::{Check, Row};
use crate::dataset::validate::report::{Report, Severity};

/// Each country's box in degrees, from Natural Earth at 1:50 million (`tests/fixtures/make_country_boxes.py`). Where a country lies on
/// both sides of the date line its box goes round the earth, and only its latitude says anything.
const COUNTRIES: &str = include_str!("countries.csv");

/// Degrees beyond a box that still count as within: coasts are simplified at that scale, and small islands left out.
const MARGIN: f64 = 1.0;

pub(super) fn checks(columns: &Columns) -> Vec<Box<dyn Check>> {
    match (columns.find("coord-lat"), columns.find("coord-lon")) {
        (Some(latitude), Some(longitude)) => {
            vec![Box::new(Coordinates { latitude, longitude, country: columns.find("country"), boxes: boxes() })]
        }
        _ => Vec::new(),
    }
}

/// South, north, west, east.
type Degrees = [f64; 4];

fn boxes() -> HashMap<&'static str, Degrees> {
    let line = |line: &'static str| {
        let (country, edges) = line.split_once(',')?;
        let mut edges = edges.split(',').map(|edge| edge.parse().ok());
        Some((country, [edges.next()??, edges.next()??, edges.next()??, edges.next()??]))
    };
    COUNTRIES.lines().skip(1).filter_map(line).collect()
}

struct Coordinates {
    latitude: Column,
    longitude: Column,
    country: Option<Column>,
    boxes: HashMap<&'static str, Degrees>,
}

impl Check for Coordinates {
    fn row(&mut self, row: &Row, report: &mut Report) {
        let cells = (self.latitude.of(row.cells), self.longitude.of(row.cells));
        let says = |what: &str| row.says(format_args!("{}, {}{what}", cells.0, cells.1));
        let (latitude, longitude) = match cells {
            ("", "") => return,
            ("", _) | (_, "") => return report.add(Severity::Fault, "one coordinate is there without the other", || says("")),
            (latitude, longitude) => match (latitude.parse::<f64>(), longitude.parse::<f64>()) {
                (Ok(latitude), Ok(longitude)) if latitude.abs() <= 90.0 && longitude.abs() <= 180.0 => (latitude, longitude),
                _ => return report.add(Severity::Fault, "the coordinates are no place on earth", || says("")),
            },
        };
        let country = self.country.map_or("", |column| column.of(row.cells));
        if country.is_empty() {
            return;
        }
        match self.boxes.get(country) {
            None => report.add(Severity::Remark, "the country is not one this program knows the box of", || row.says(country)),
            Some(box_of) if !is_within(latitude, longitude, box_of) => {
                report.add(Severity::Warning, "the coordinates lie outside their country", || {
                    says(&format!(" is not in {country}"))
                });
            }
            Some(_) => {}
        }
    }
}

fn is_within(latitude: f64, longitude: f64, [south, north, west, east]: &Degrees) -> bool {
    (south - MARGIN..=north + MARGIN).contains(&latitude) && (west - MARGIN..=east + MARGIN).contains(&longitude)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::validate::found_tests::found;

    #[test]
    fn every_line_of_the_countries_is_a_box() {
        let boxes = boxes();
        assert_eq!(boxes.len(), COUNTRIES.lines().count() - 1);
        assert!(boxes.values().all(|[south, north, west, east]| south <= north && west <= east));
        // Heredia, Costa Rica; a place in Western Australia: both from real records.
        assert!(is_within(10.327, -84.08, &boxes["Costa Rica"]) && is_within(-35.019, 117.228, &boxes["Australia"]));
    }

    #[test]
    fn places_are_checked_against_the_earth_and_their_country() {
        let rows = "10.3,-84.08,Costa Rica\n-84.08,10.3,Costa Rica\n91,0,\n10.3,,Costa Rica\nnorth,3,\nNaN,1,\n1,1,Atlantis\n,,Costa Rica";
        let rows: String = rows.lines().enumerate().map(|(row, line)| format!("{row}.jpg,1,{line}\n")).collect();
        let found = found(&format!("image_file,chunk_number,coord-lat,coord-lon,country\n{rows}"));
        let expected = [
            ("warning", "the coordinates lie outside their country", 1, "line 3: -84.08, 10.3 is not in Costa Rica"),
            ("fault", "the coordinates are no place on earth", 3, "line 4: 91, 0"),
            ("fault", "one coordinate is there without the other", 1, "line 5: 10.3, "),
            ("remark", "the country is not one this program knows the box of", 1, "line 8: Atlantis"),
        ];
        assert_eq!(found, expected.map(|(severity, kind, count, first)| (severity, kind.into(), count, first.into())));
    }
}
