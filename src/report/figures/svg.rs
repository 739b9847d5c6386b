//! Shapes and words → the text of an SVG.

use std::fmt::Write;

use crate::report::figures::font::{FAMILY, width};
use crate::report::figures::palette::Mark;
use crate::report::figures::{Heading, Series, Style};

/// Size of plain text, in units of the canvas; one unit is a pixel where the figure is not scaled.
pub const TEXT: f64 = 12.0;
/// Size of a title.
pub const TITLE: f64 = 15.0;
/// Where a figure begins below its title.
pub const TOP: f64 = 34.0;

/// What of a text lies at its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Its beginning.
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// A canvas; the origin is the upper left corner.
#[derive(Clone, Debug)]
pub struct Svg {
    width: f64,
    height: f64,
    title: String,
    body: String,
}

impl Svg {
    /// A sheet with its title on it.
    #[must_use]
    pub fn new(width: f64, height: f64, heading: &Heading) -> Self {
        let mut svg = Self { width, height, title: heading.title.clone(), body: String::new() };
        svg.bold(10.0, 21.0, TITLE, &heading.title);
        if heading.synthetic {
            let _ = writeln!(
                svg.body,
                r##"<text x="{}" y="21" text-anchor="end" font-weight="bold" fill="#D55E00">SYNTHETIC data</text>"##,
                number(width - 10.0)
            );
        }
        svg
    }

    /// How wide a sheet must be for its title, so that nothing is cut off.
    #[must_use]
    pub fn least_width(heading: &Heading) -> f64 {
        let banner = if heading.synthetic { width("SYNTHETIC data", TEXT) * 1.1 + 20.0 } else { 0.0 };
        width(&heading.title, TITLE) * 1.1 + banner + 20.0
    }

    /// A text of the usual size, its baseline at `y`.
    pub fn text(&mut self, x: f64, y: f64, anchor: Anchor, text: &str) {
        self.sized(x, y, TEXT, anchor, text);
    }

    /// A text of another size.
    pub fn sized(&mut self, x: f64, y: f64, size: f64, anchor: Anchor, text: &str) {
        let anchor = if anchor == Anchor::Start { String::new() } else { format!(r#" text-anchor="{}""#, anchor.name()) };
        let size = if size == TEXT { String::new() } else { format!(r#" font-size="{}""#, number(size)) };
        let _ = writeln!(self.body, r#"<text x="{}" y="{}"{anchor}{size}>{}</text>"#, number(x), number(y), escape(text));
    }

    /// A bold text.
    pub fn bold(&mut self, x: f64, y: f64, size: f64, text: &str) {
        let (x, y, size) = (number(x), number(y), number(size));
        let _ = writeln!(self.body, r#"<text x="{x}" y="{y}" font-size="{size}" font-weight="bold">{}</text>"#, escape(text));
    }

    /// A text of the usual size turned about its position, in degrees clockwise.
    pub fn turned(&mut self, x: f64, y: f64, degrees: f64, anchor: Anchor, text: &str) {
        self.turned_sized(x, y, degrees, TEXT, anchor, text);
    }

    /// A text of another size, turned.
    pub fn turned_sized(&mut self, x: f64, y: f64, degrees: f64, size: f64, anchor: Anchor, text: &str) {
        let (x, y, degrees, size, anchor) = (number(x), number(y), number(degrees), number(size), anchor.name());
        let _ = writeln!(
            self.body,
            r#"<text transform="translate({x} {y}) rotate({degrees})" text-anchor="{anchor}" font-size="{size}">{}</text>"#,
            escape(text)
        );
    }

    /// A text in the middle of a shade: white on a dark one.
    pub fn shade_text(&mut self, (x, y): (f64, f64), dark: bool, text: &str) {
        let fill = if dark { r##" fill="#ffffff""## } else { "" };
        let (x, y) = (number(x), number(y));
        let _ = writeln!(self.body, r#"<text x="{x}" y="{y}" text-anchor="middle" font-size="11"{fill}>{}</text>"#, escape(text));
    }

    /// A thin line: an axis where `strong`, a grid line otherwise.
    pub fn rule(&mut self, from: (f64, f64), to: (f64, f64), strong: bool) {
        let strength = if strong { "0.8" } else { "0.15" };
        let _ = writeln!(
            self.body,
            r#"<path d="M{} {}L{} {}" stroke="currentColor" stroke-opacity="{strength}" fill="none"/>"#,
            number(from.0),
            number(from.1),
            number(to.0),
            number(to.1)
        );
    }

    /// A line through `points`, in the style of a series; nothing for fewer than two.
    pub fn line(&mut self, points: &[(f64, f64)], style: Style, stroke: f64, tip: &str) {
        if points.len() < 2 {
            return;
        }
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{} {}", number(*x), number(*y))).collect();
        let dash = if style.dash.is_empty() { String::new() } else { format!(r#" stroke-dasharray="{}""#, style.dash) };
        let _ = writeln!(
            self.body,
            r#"<path d="M{}" fill="none" stroke="{}" stroke-width="{}"{dash} stroke-linejoin="round">{}</path>"#,
            path.join("L"),
            style.colour,
            number(stroke),
            tip_of(tip)
        );
    }

    /// A filled rectangle; `opacity` in 0..1. One without an extent is left out: nothing is to be seen of it, and who draws it
    /// elsewhere takes it for a fault.
    pub fn area(&mut self, at: (f64, f64), size: (f64, f64), fill: &str, opacity: f64, tip: &str) {
        if [size.0, size.1].map(number).contains(&"0".to_owned()) {
            return;
        }
        let opacity = if opacity >= 1.0 { String::new() } else { format!(r#" fill-opacity="{}""#, number(opacity)) };
        let _ = writeln!(
            self.body,
            r#"<rect x="{}" y="{}" width="{}" height="{}" fill="{fill}"{opacity}>{}</rect>"#,
            number(at.0),
            number(at.1),
            number(size.0),
            number(size.1),
            tip_of(tip)
        );
    }

    /// A mark of a series, `radius` from its middle to its edge.
    pub fn mark(&mut self, (x, y): (f64, f64), style: Style, radius: f64, tip: &str) {
        let (colour, r) = (style.colour, radius);
        let tip = tip_of(tip);
        let corners = |points: &[(f64, f64)]| {
            let points: Vec<String> =
                points.iter().map(|(dx, dy)| format!("{} {}", number(x + dx * r), number(y + dy * r))).collect();
            format!(r#"<path d="M{}Z" fill="{colour}">{tip}</path>"#, points.join("L"))
        };
        let shape = match style.mark {
            Mark::Disc => {
                format!(r#"<circle cx="{}" cy="{}" r="{}" fill="{colour}">{tip}</circle>"#, number(x), number(y), number(r))
            }
            Mark::Diamond => corners(&[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)]),
            Mark::Triangle => corners(&[(0.0, -1.2), (1.1, 0.9), (-1.1, 0.9)]),
            Mark::Square => corners(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
        };
        self.body.push_str(&shape);
        self.body.push('\n');
    }

    /// Discs of one colour with their middles, radii and tips. They are translucent, so that those that lie on each other are all seen, and
    /// share what is alike, because there may be thousands.
    pub fn discs(&mut self, colour: &str, discs: impl IntoIterator<Item = ((f64, f64), f64, String)>) {
        let _ = writeln!(self.body, r#"<g fill="{colour}" fill-opacity="0.35" stroke="{colour}" stroke-width="0.6">"#);
        for ((x, y), radius, tip) in discs {
            let (x, y, r) = (number(x), number(y), number(radius));
            let _ = writeln!(self.body, r#"<circle cx="{x}" cy="{y}" r="{r}">{}</circle>"#, tip_of(&tip));
        }
        self.body.push_str("</g>\n");
    }

    /// The names of the series behind squares of their colours, in a row that begins at (`x`, `y`).
    pub fn swatches(&mut self, x: f64, y: f64, series: &[Series]) {
        let mut at = x;
        for Series { name, style } in series {
            self.area((at, y - 10.0), (12.0, 12.0), style.colour, 1.0, "");
            self.text(at + 18.0, y, Anchor::Start, name);
            at += 40.0 + width(name, TEXT);
        }
    }

    /// The names of the series in a row that begins at (`x`, `y`) and is broken before `right`; returns where the last line lies.
    pub fn legend(&mut self, x: f64, y: f64, right: f64, series: &[Series]) -> f64 {
        let (mut at, mut line) = (x, y);
        for Series { name, style } in series {
            let wide = 34.0 + width(name, TEXT) + 18.0;
            if at > x && at + wide > right {
                (at, line) = (x, line + 18.0);
            }
            self.line(&[(at, line - 4.0), (at + 26.0, line - 4.0)], *style, 2.0, "");
            self.mark((at + 13.0, line - 4.0), *style, 3.5, "");
            self.text(at + 33.0, line, Anchor::Start, name);
            at += wide;
        }
        line
    }

    /// The whole text.
    #[must_use]
    pub fn finish(self) -> String {
        let (width, height) = (number(self.width), number(self.height));
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" color="#1a1a1a" fill="currentColor" font-family="{FAMILY}" font-size="{}">
<title>{}</title>
<rect class="paper" width="{width}" height="{height}" fill="#ffffff"/>
{}</svg>
"##,
            number(TEXT),
            escape(&self.title),
            self.body
        )
    }
}

fn tip_of(tip: &str) -> String {
    if tip.is_empty() { String::new() } else { format!("<title>{}</title>", escape(tip)) }
}

/// A number with at most two places, which is finer than a screen.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.to_owned() }
}

/// Text whose special characters SVG and HTML show instead of obeying.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // XML has no way to write the other control characters.
            c if c.is_control() && c != '\n' && c != '\t' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_taken_for_markup() {
        let mut svg = Svg::new(100.0, 50.0, &Heading::new("a<b", false));
        svg.text(1.0, 2.0, Anchor::Start, r#"</svg><script>"x"&'"#);
        let text = svg.finish();
        assert!(text.contains("&lt;/svg&gt;&lt;script&gt;&quot;x&quot;&amp;&#39;") && !text.contains("<script>"), "{text}");
        assert_eq!(escape("a\u{1}b"), "a\u{fffd}b");
    }

    #[test]
    fn a_figure_of_synthetic_data_says_so() {
        let of = |synthetic| Svg::new(100.0, 50.0, &Heading::new("x", synthetic)).finish();
        assert!(of(true).contains("SYNTHETIC data") && !of(false).contains("SYNTHETIC"));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([1.0, 1.505, -0.001, 100.0, 0.25].map(number), ["1", "1.5", "0", "100", "0.25"]);
    }
}
