//! A summary → Markdown, aligned so that it reads as well in a plain editor.

use crate::error::Result;
use crate::report::aggregate::{Cell, Summary};
use crate::report::effects::Paired;
use crate::report::lines::{Lines, SYNTHETIC, Shown, effect_lines, footnotes, further_lines, main_lines};
use crate::report::{Exporter, Table};

/// Pipe tables.
#[derive(Clone, Copy, Debug)]
pub struct Markdown;

impl Exporter for Markdown {
    fn file(&self) -> &'static str {
        "tables.md"
    }

    fn export(&self, summary: &Summary) -> Result<String> {
        let mut text = format!("# {}: {} of {} runs\n", summary.job, summary.done, summary.of);
        if summary.synthetic {
            text.push_str(&format!("\n**{SYNTHETIC}**\n"));
        }
        text.extend(summary.tables.iter().map(section));
        text.push('\n');
        text.extend(summary.footnotes.iter().map(|note| format!("- {note}\n")));
        Ok(text)
    }
}

fn section(table: &Table) -> String {
    let mut text = format!("\n## {}\n\n{}", table.title, pipes(&main_lines(table)));
    for (name, lines) in [("Further figures", further_lines(table)), ("Effects", effect_lines(table))] {
        text.extend(lines.map(|lines| format!("\n### {name}\n\n{}", pipes(&lines))));
    }
    let notes: String = footnotes(table).map(|note| format!("- {note}\n")).collect();
    if notes.is_empty() { text } else { text + "\n" + &notes }
}

fn pipes(lines: &Lines) -> String {
    let heading = lines.headings.iter().map(|&heading| heading.to_owned()).collect();
    let mut rows: Vec<Vec<String>> = vec![heading];
    rows.extend(lines.groups.iter().flatten().map(|line| line.iter().map(shown).collect()));
    let widths: Vec<usize> =
        (0..rows[0].len()).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let pad = |column: usize, text: &str| {
        let space = " ".repeat(widths[column] - text.chars().count());
        if column < lines.words { format!("{text}{space}") } else { format!("{space}{text}") }
    };
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().enumerate().map(|(column, text)| pad(column, text)).collect();
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
        if number == 0 {
            let rule = |(column, width): (usize, &usize)| {
                if column < lines.words { "-".repeat(width + 2) } else { format!("{}:", "-".repeat(width + 1)) }
            };
            text.push_str(&format!("|{}|\n", widths.iter().enumerate().map(rule).collect::<Vec<_>>().join("|")));
        }
    }
    text
}

fn shown(shown: &Shown) -> String {
    match shown {
        // A pipe in a name would end the cell.
        Shown::Text(text) => text.replace('|', "\\|"),
        Shown::Figure(cell) => figure(cell),
        Shown::Plain(value) => format!("{value:.2}"),
        Shown::Signed(value) => format!("{value:+.2}"),
        Shown::Interval(paired) => interval(paired),
        Shown::Nothing => "—".into(),
    }
}

fn figure(Cell { metric, mean, std, n, of, best, .. }: &Cell) -> String {
    let places = metric.decimals();
    let spread = std.map_or("—".to_owned(), |std| format!("{std:.places$}"));
    let of = if n < of { format!(" (n={n}/{of})") } else { String::new() };
    let bold = if *best { "**" } else { "" };
    format!("{bold}{mean:.places$} ± {spread}{bold}{of}")
}

/// `+1.20 [+0.31, +2.09]`.
pub(super) fn interval(Paired { mean, low, high, .. }: &Paired) -> String {
    let ends = low.zip(*high).map(|(low, high)| format!(" [{low:+.2}, {high:+.2}]"));
    format!("{mean:+.2}{}", ends.unwrap_or_default())
}
