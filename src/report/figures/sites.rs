//! Places with their records → a map: a disc a site, whose area goes with its records.
//!
//! The map is a plate carrée: a degree is as long from east to west as from south to north, so that coordinates are read off its lines.
//! It has no coasts, because the metadata have none.

use crate::report::figures::Heading;
use crate::report::figures::axis::{Axis, label, thousands};
use crate::report::figures::font::width;
use crate::report::figures::palette::STRENGTH;
use crate::report::figures::svg::{Anchor, Svg, TEXT, TOP};

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Sites {
    /// Above the figure.
    pub heading: Heading,
    /// The sites, in any order.
    pub sites: Vec<Site>,
}

/// One place on earth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Site {
    /// Degrees north, -90..90.
    pub latitude: f64,
    /// Degrees east, -180..180.
    pub longitude: f64,
    /// Records from there.
    pub records: u64,
}

/// The most that the map may take.
const PLOT: (f64, f64) = (960.0, 520.0);
const LEFT: f64 = 76.0;
/// Radius of the site with the most records.
const LARGEST: f64 = 22.0;
/// Radius below which no disc is seen.
const SMALLEST: f64 = 1.3;
/// Radius of a single record at most, where all sites have few.
const SINGLE: f64 = 3.0;
/// Distances of the lines, in degrees.
const STEPS: [f64; 5] = [30.0, 10.0, 5.0, 2.0, 1.0];

/// The text of the figure.
#[must_use]
pub fn draw(figure: &Sites) -> String {
    let window = Window::around(&figure.sites);
    let (wide, high) = window.extent();
    let degree = (PLOT.0 / wide).min(PLOT.1 / high);
    let scale = Scale::of(figure.sites.iter().map(|site| site.records).max().unwrap_or(0));
    let (right, top, note) = (LEFT + wide * degree, TOP + 12.0, scale.note());
    let bottom = top + high * degree;
    let sheet = [right + 34.0, LEFT + width(&note, TEXT) + 10.0, Svg::least_width(&figure.heading)];
    let mut svg = Svg::new(sheet.into_iter().fold(0.0, f64::max), bottom + 112.0, &figure.heading);
    let x = Axis::linear(window.longitudes, (LEFT, right));
    let y = Axis::linear(window.latitudes, (bottom, top));
    for line in window.lines(window.longitudes) {
        svg.rule((x.at(line), top), (x.at(line), bottom), window.longitudes.0 == line);
        svg.text(x.at(line), bottom + 17.0, Anchor::Middle, &meridian(line));
    }
    for line in window.lines(window.latitudes) {
        svg.rule((LEFT, y.at(line)), (right, y.at(line)), window.latitudes.0 == line);
        svg.text(LEFT - 6.0, y.at(line) + 4.0, Anchor::End, &parallel(line));
    }
    svg.text(f64::midpoint(LEFT, right), bottom + 36.0, Anchor::Middle, "longitude");
    svg.turned(16.0, f64::midpoint(top, bottom), -90.0, Anchor::Middle, "latitude");
    let mut sites: Vec<&Site> = figure.sites.iter().collect();
    // The small ones on the large ones, or they would not be found under the pointer.
    sites.sort_by_key(|site| std::cmp::Reverse(site.records));
    let disc = |site: &Site| ((x.at(site.longitude), y.at(site.latitude)), scale.radius(site.records), tip(site));
    svg.discs(STRENGTH, sites.into_iter().map(disc));
    draw_key(&mut svg, scale, bottom + 66.0);
    svg.text(LEFT, bottom + 102.0, Anchor::Start, &note);
    svg.finish()
}

/// Discs of round numbers in a row, their middles at `y`.
fn draw_key(svg: &mut Svg, scale: Scale, y: f64) {
    let mut at = LEFT;
    for records in scale.key() {
        let (words, radius) = (format!("{} records", thousands(records)), scale.radius(records));
        svg.discs(STRENGTH, [((at + radius, y), radius, words.clone())]);
        svg.text(at + 2.0 * radius + 8.0, y + 4.0, Anchor::Start, &words);
        at += 2.0 * radius + width(&words, TEXT) + 36.0;
    }
}

/// The part of the earth that is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Window {
    /// West and east, in degrees.
    longitudes: (f64, f64),
    /// South and north, in degrees.
    latitudes: (f64, f64),
    /// Between two lines, in degrees.
    step: f64,
}

impl Window {
    /// From the lines around all sites, which lie the closer together the closer the sites do; the whole earth where there are none.
    fn around(sites: &[Site]) -> Self {
        let Some((longitudes, latitudes)) =
            range(sites.iter().map(|site| site.longitude)).zip(range(sites.iter().map(|site| site.latitude)))
        else {
            return Self { longitudes: (-180.0, 180.0), latitudes: (-90.0, 90.0), step: 30.0 };
        };
        let extent = f64::max(longitudes.1 - longitudes.0, latitudes.1 - latitudes.0);
        let step = STEPS.into_iter().find(|step| extent >= 3.0 * step).unwrap_or(1.0);
        // A site has room around it for its disc.
        let outwards = |(low, high): (f64, f64), edge: f64| {
            let low = ((low - step / 4.0) / step).floor() * step;
            let high = ((high + step / 4.0) / step).ceil() * step;
            (low.max(-edge), high.min(edge))
        };
        Self { longitudes: outwards(longitudes, 180.0), latitudes: outwards(latitudes, 90.0), step }
    }

    /// Degrees from west to east and from south to north.
    fn extent(&self) -> (f64, f64) {
        (self.longitudes.1 - self.longitudes.0, self.latitudes.1 - self.latitudes.0)
    }

    /// The multiples of the step from one edge to the other.
    fn lines(&self, (low, high): (f64, f64)) -> impl Iterator<Item = f64> + use<> {
        let step = self.step;
        let (first, last) = ((low / step).ceil() as i32, (high / step).floor() as i32);
        (first..=last).map(move |line| f64::from(line) * step)
    }
}

/// The least and the greatest; `None` of nothing.
fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |range, value| {
        let (low, high) = range.unwrap_or((value, value));
        Some((value.min(low), value.max(high)))
    })
}

/// Records ↔ radius.
#[derive(Clone, Copy, Debug)]
struct Scale {
    /// Records of the largest disc.
    most: u64,
    /// Radius of a single record.
    single: f64,
}

impl Scale {
    fn of(most: u64) -> Self {
        Self { most, single: (LARGEST / (most.max(1) as f64).sqrt()).min(SINGLE) }
    }

    /// In proportion to the root, so that the area goes with the records.
    fn radius(self, records: u64) -> f64 {
        (self.single * (records as f64).sqrt()).max(SMALLEST)
    }

    /// The most records that the smallest disc stands for.
    fn unseen(self) -> u64 {
        (SMALLEST / self.single).powi(2) as u64
    }

    /// Up to three powers of ten that are told apart, the greatest first.
    fn key(self) -> Vec<u64> {
        let powers = (0..=self.most.checked_ilog10().unwrap_or(0)).rev().map(|power| 10u64.pow(power));
        powers.take(3).filter(|records| *records <= self.most && *records > self.unseen()).collect()
    }

    fn note(self) -> String {
        let note = "The area of a disc goes with the records of its site".to_owned();
        match self.unseen() {
            0 | 1 => note + ".",
            unseen => format!("{note}; up to {} records they are equally small.", thousands(unseen)),
        }
    }
}

fn tip(site: &Site) -> String {
    format!("{}, {}: {} records", parallel(site.latitude), meridian(site.longitude), thousands(site.records))
}

/// `60° N`.
fn parallel(latitude: f64) -> String {
    degrees(latitude, if latitude < 0.0 { " S" } else { " N" })
}

/// `120° W`; the meridian opposite Greenwich is neither east nor west.
fn meridian(longitude: f64) -> String {
    match longitude {
        _ if longitude.abs() == 180.0 => degrees(longitude, ""),
        _ if longitude < 0.0 => degrees(longitude, " W"),
        _ => degrees(longitude, " E"),
    }
}

fn degrees(value: f64, side: &str) -> String {
    format!("{}°{}", label(value.abs()), if value == 0.0 { "" } else { side })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(latitude: f64, longitude: f64) -> Site {
        Site { latitude, longitude, records: 1 }
    }

    #[test]
    fn degrees_have_the_side_they_lie_on() {
        assert_eq!([60.0, -10.327, 0.0].map(parallel), ["60° N", "10.327° S", "0°"]);
        assert_eq!([-120.0, 30.0, 0.0, 180.0, -180.0].map(meridian), ["120° W", "30° E", "0°", "180°", "180°"]);
    }

    #[test]
    fn the_map_ends_at_lines_around_the_sites() {
        let window = |sites: &[Site]| Window::around(sites);
        let earth = window(&[site(62.0, -124.0), site(-35.0, 140.0)]);
        assert_eq!(earth, Window { longitudes: (-150.0, 150.0), latitudes: (-60.0, 90.0), step: 30.0 });
        let costa_rica = window(&[site(8.3, -83.9), site(10.9, -85.6)]);
        assert_eq!(costa_rica, Window { longitudes: (-86.0, -83.0), latitudes: (8.0, 12.0), step: 1.0 });
        assert_eq!(window(&[site(90.0, 180.0), site(-90.0, -180.0)]), window(&[]));
        assert_eq!(costa_rica.lines(costa_rica.latitudes).collect::<Vec<_>>(), [8.0, 9.0, 10.0, 11.0, 12.0]);
    }

    #[test]
    fn a_disc_of_a_quarter_of_the_records_has_half_the_radius() {
        let scale = Scale::of(40_000);
        assert_eq!([40_000, 10_000, 1].map(|records| scale.radius(records)), [LARGEST, LARGEST / 2.0, SMALLEST]);
        // 40,000 · (1.3 / 22)² = 139.7.
        assert_eq!((scale.unseen(), scale.key()), (139, vec![10_000, 1000]));
        let few = Scale::of(4);
        assert_eq!(([4, 1].map(|records| few.radius(records)), few.key()), ([2.0 * SINGLE, SINGLE], vec![1]));
        assert!(Scale::of(0).key().is_empty());
    }
}
