//! A summary → lines for a terminal: narrower than Markdown, the best of a column marked.

use crate::report::aggregate::{Cell, Summary};
use crate::report::lines::{Lines, SYNTHETIC, Shown, effect_lines, footnotes, further_lines, main_lines};
use crate::report::markdown::interval;

/// The tables as text. `bold` marks the best of a column by the terminal's bold type, and otherwise by a star.
#[must_use]
pub fn text(summary: &Summary, bold: bool) -> String {
    let mut text = format!("{}: {} of {} runs\n", summary.job, summary.done, summary.of);
    if summary.synthetic {
        text.push_str(&format!("{SYNTHETIC}\n"));
    }
    for table in &summary.tables {
        text.push_str(&format!("\n{}\n{}", table.title, columns(&main_lines(table), bold)));
        for lines in [further_lines(table), effect_lines(table)].into_iter().flatten() {
            text.push_str(&format!("\n{}", columns(&lines, bold)));
        }
        text.extend(footnotes(table).map(|note| format!("· {note}\n")));
    }
    text.push('\n');
    text.extend(summary.footnotes.iter().map(|note| format!("· {note}\n")));
    text
}

/// Columns two spaces apart, one group after another.
fn columns(lines: &Lines, bold: bool) -> String {
    let cells: Vec<Vec<Vec<(String, bool)>>> =
        lines.groups.iter().map(|group| group.iter().map(|line| line.iter().map(shown).collect()).collect()).collect();
    let width = |column: usize| {
        let body = cells.iter().flatten().map(|line| line[column].0.chars().count() + usize::from(line[column].1 && !bold));
        body.chain([lines.headings[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..lines.headings.len()).map(width).collect();
    let pad = |column: usize, (text, best): &(String, bool)| {
        let marked = if *best && !bold { format!("{text}*") } else { text.clone() };
        let space = " ".repeat(widths[column].saturating_sub(marked.chars().count()));
        let marked = if *best && bold { format!("\x1b[1m{marked}\x1b[0m") } else { marked };
        if column < lines.words { format!("{marked}{space}") } else { format!("{space}{marked}") }
    };
    let line = |cells: &[(String, bool)]| {
        let padded: Vec<String> = cells.iter().enumerate().map(|(column, cell)| pad(column, cell)).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let heading: Vec<(String, bool)> = lines.headings.iter().map(|&heading| (heading.to_owned(), false)).collect();
    let groups: Vec<String> = cells.iter().map(|group| group.iter().map(|cells| line(cells)).collect()).collect();
    line(&heading) + &groups.join("")
}

fn shown(shown: &Shown) -> (String, bool) {
    match shown {
        Shown::Text(text) => (text.clone(), false),
        Shown::Figure(cell) => (figure(cell), cell.best),
        Shown::Plain(value) => (format!("{value:.2}"), false),
        Shown::Signed(value) => (format!("{value:+.2}"), false),
        Shown::Interval(paired) => (interval(paired), false),
        Shown::Nothing => ("—".into(), false),
    }
}

fn figure(Cell { metric, mean, std, .. }: &Cell) -> String {
    let places = metric.decimals();
    format!("{mean:.places$}±{}", std.map_or("—".to_owned(), |std| format!("{std:.places$}")))
}
