//! A summary → LaTeX tables (booktabs), ready to paste.

use crate::error::Result;
use crate::report::aggregate::{Cell, Summary};
use crate::report::lines::{SYNTHETIC, Shown, WORDS, footnotes, groups, headings};
use crate::report::{Exporter, Table};

/// One `table` environment a task.
#[derive(Clone, Copy, Debug)]
pub struct Latex;

impl Exporter for Latex {
    fn file(&self) -> &'static str {
        "tables.tex"
    }

    fn export(&self, summary: &Summary) -> Result<String> {
        let mut text = "% \\usepackage{booktabs}\n".to_owned();
        for table in &summary.tables {
            text.push_str(&environment(summary, table));
        }
        Ok(text)
    }
}

fn environment(summary: &Summary, table: &Table) -> String {
    let columns = format!("{}{}", "l".repeat(WORDS), "r".repeat(headings().len() - WORDS));
    let head: Vec<String> = headings().into_iter().map(escape).collect();
    let banner = if summary.synthetic { format!("\\textbf{{{SYNTHETIC}.}} ") } else { String::new() };
    let (job, title) = (escape(&summary.job), escape(&table.title));
    let mut text = format!(
        "\n\\begin{{table}}\n\\centering\n\\caption{{{banner}{job}, {title}: {} of {} runs.}}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n{} \\\\\n",
        summary.done,
        summary.of,
        head.join(" & "),
    );
    for group in groups(table) {
        text.push_str("\\midrule\n");
        for line in group {
            text.push_str(&format!("{} \\\\\n", line.iter().map(shown).collect::<Vec<_>>().join(" & ")));
        }
    }
    text.push_str("\\bottomrule\n\\end{tabular}\n");
    for note in footnotes(table).chain(summary.footnotes.clone()) {
        text.push_str(&format!("\\par\\footnotesize {}\n", escape(&note)));
    }
    text.push_str("\\end{table}\n");
    text
}

fn shown(shown: &Shown) -> String {
    match shown {
        Shown::Text(text) => escape(text),
        Shown::Figure(Cell { mean, std, n, of, .. }) => {
            let spread = std.map_or("\\mbox{--}".to_owned(), |std| format!("{std:.2}"));
            let of = if n < of { format!(" ($n={n}/{of}$)") } else { String::new() };
            format!("${mean:.2} \\pm {spread}${of}")
        }
        Shown::Plain(value) => format!("${value:.2}$"),
        Shown::Signed(value) => format!("${value:+.2}$"),
        Shown::Nothing => "--".into(),
    }
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
