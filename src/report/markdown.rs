//! A summary → Markdown, aligned so that it reads as well in a terminal.

use crate::error::Result;
use crate::report::aggregate::{Cell, Summary};
use crate::report::lines::{SYNTHETIC, Shown, WORDS, footnotes, groups, headings};
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
        for table in &summary.tables {
            text.push_str(&format!("\n## {}\n\n{}", table.title, pipes(table)));
            let notes: String = footnotes(table).map(|note| format!("- {note}\n")).collect();
            text.push_str(&if notes.is_empty() { notes } else { format!("\n{notes}") });
        }
        text.push('\n');
        text.extend(summary.footnotes.iter().map(|note| format!("- {note}\n")));
        Ok(text)
    }
}

fn pipes(table: &Table) -> String {
    let mut lines: Vec<Vec<String>> = vec![headings().into_iter().map(str::to_owned).collect()];
    lines.extend(groups(table).into_iter().flatten().map(|line| line.iter().map(shown).collect()));
    let widths: Vec<usize> =
        (0..lines[0].len()).map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)).collect();
    let pad = |column: usize, text: &str| {
        let space = " ".repeat(widths[column] - text.chars().count());
        if column < WORDS { format!("{text}{space}") } else { format!("{space}{text}") }
    };
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let cells: Vec<String> = line.iter().enumerate().map(|(column, text)| pad(column, text)).collect();
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
        if number == 0 {
            let rule = |(column, width): (usize, &usize)| {
                if column < WORDS { "-".repeat(width + 2) } else { format!("{}:", "-".repeat(width + 1)) }
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
        Shown::Figure(Cell { mean, std, n, of, .. }) => {
            let spread = std.map_or("—".to_owned(), |std| format!("{std:.2}"));
            let of = if n < of { format!(" (n={n}/{of})") } else { String::new() };
            format!("{mean:.2} ± {spread}{of}")
        }
        Shown::Plain(value) => format!("{value:.2}"),
        Shown::Signed(value) => format!("{value:+.2}"),
        Shown::Nothing => "—".into(),
    }
}
