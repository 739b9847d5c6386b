//! A summary → LaTeX tables (booktabs), ready to paste.

use crate::error::Result;
use crate::report::aggregate::{Cell, Summary};
use crate::report::effects::Paired;
use crate::report::lines::{Lines, SYNTHETIC, Shown, effect_lines, footnotes, further_lines, main_lines};
use crate::report::{Exporter, Table};

/// A `table` environment for the benchmark's figures of each task, one for the others, and one for the effects.
#[derive(Clone, Copy, Debug)]
pub struct Latex;

impl Exporter for Latex {
    fn file(&self) -> &'static str {
        "tables.tex"
    }

    fn export(&self, summary: &Summary) -> Result<String> {
        let mut text = "% \\usepackage{booktabs}\n".to_owned();
        for table in &summary.tables {
            text.push_str(&environment(summary, table, "", &main_lines(table)));
            for note in footnotes(table).chain(summary.footnotes.clone()) {
                text.push_str(&format!("\\par\\footnotesize {}\n", escape(&note)));
            }
            text.push_str("\\end{table}\n");
            for (part, lines) in [(", further figures", further_lines(table)), (", effects", effect_lines(table))] {
                text.extend(lines.map(|lines| environment(summary, table, part, &lines) + "\\end{table}\n"));
            }
        }
        Ok(text)
    }
}

fn environment(summary: &Summary, table: &Table, part: &str, lines: &Lines) -> String {
    let columns = format!("{}{}", "l".repeat(lines.words), "r".repeat(lines.headings.len() - lines.words));
    let head: Vec<String> = lines.headings.iter().map(|heading| escape(heading)).collect();
    let banner = if summary.synthetic { format!("\\textbf{{{SYNTHETIC}.}} ") } else { String::new() };
    let (job, title) = (escape(&summary.job), escape(&table.title));
    let mut text = format!(
        "\n\\begin{{table}}\n\\centering\n\\caption{{{banner}{job}, {title}{part}: {} of {} runs.}}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n{} \\\\\n",
        summary.done,
        summary.of,
        head.join(" & "),
    );
    text.push_str("\\midrule\n");
    // Rules between groups of several lines; single lines stand together.
    let rule = if lines.groups.iter().any(|group| group.len() > 1) { "\\midrule\n" } else { "" };
    let line = |line: &Vec<Shown>| format!("{} \\\\\n", line.iter().map(shown).collect::<Vec<_>>().join(" & "));
    let groups: Vec<String> = lines.groups.iter().map(|group| group.iter().map(line).collect()).collect();
    text.push_str(&groups.join(rule));
    text.push_str("\\bottomrule\n\\end{tabular}\n");
    text
}

fn shown(shown: &Shown) -> String {
    match shown {
        Shown::Text(text) => escape(text),
        Shown::Figure(cell) => figure(cell),
        Shown::Plain(value) => format!("${value:.2}$"),
        Shown::Signed(value) => format!("${value:+.2}$"),
        Shown::Interval(Paired { mean, low, high, .. }) => {
            let ends = low.zip(*high).map(|(low, high)| format!("\\ [{low:+.2}, {high:+.2}]"));
            format!("${mean:+.2}{}$", ends.unwrap_or_default())
        }
        Shown::Nothing => "--".into(),
    }
}

fn figure(Cell { metric, mean, std, n, of, best, .. }: &Cell) -> String {
    let places = metric.decimals();
    let spread = std.map_or("\\mbox{--}".to_owned(), |std| format!("{std:.places$}"));
    let of = if n < of { format!(" ($n={n}/{of}$)") } else { String::new() };
    let value = format!("{mean:.places$} \\pm {spread}");
    if *best { format!("$\\mathbf{{{value}}}${of}") } else { format!("${value}${of}") }
}

/// Text whose special characters LaTeX prints instead of obeying.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => escaped.extend(['\\', c]),
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '±' => escaped.push_str("$\\pm$"),
            '→' => escaped.push_str("$\\to$"),
            '—' => escaped.push_str("--"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_taken_for_a_command() {
        assert_eq!(escape(r"a_b & 5% \x"), r"a\_b \& 5\% \textbackslash{}x");
    }
}
