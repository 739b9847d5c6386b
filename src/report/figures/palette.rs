//! A position in a list → how a series is drawn: colour, dashes and mark, each enough by itself to tell neighbours apart.

/// Okabe and Ito's colours, which the colour-blind tell apart; without the yellow and the black, which vanish on one background or the
/// other.
const COLOURS: [&str; 6] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];

/// The colour of what is measured as one number: full strength is much.
pub const STRENGTH: &str = "#0072B2";

/// The shape of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A disc.
    Disc,
    /// A square on its tip.
    Diamond,
    /// A triangle.
    Triangle,
    /// A square.
    Square,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// `#rrggbb`.
    pub colour: &'static str,
    /// SVG's `stroke-dasharray`; empty for a solid line.
    pub dash: &'static str,
    /// Its mark.
    pub mark: Mark,
}

impl Style {
    /// The style of the backbone and the loss at these places in the job: the backbone chooses the colour, the loss dashes and mark.
    #[must_use]
    pub fn of(backbone: usize, loss: usize) -> Self {
        let (dash, mark) = match loss % 4 {
            0 => ("", Mark::Disc),
            1 => ("6 3", Mark::Diamond),
            2 => ("2 2", Mark::Triangle),
            _ => ("8 3 2 3", Mark::Square),
        };
        Self { colour: COLOURS[backbone % COLOURS.len()], dash, mark }
    }

    /// The style of the `index`-th of several plain series.
    #[must_use]
    pub fn plain(index: usize) -> Self {
        Self { dash: "", ..Self::of(index, index) }
    }
}
