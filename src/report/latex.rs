//! A summary → LaTeX tables (booktabs), ready to paste, each narrow enough for one column of text 5.5 inches wide.
//!
//! A table of all figures would be twice as wide as a page. So the figures over images and those over classes stand in tables of their own,
//! spreads are set small, and a word that the line above has is not said again.

use crate::error::Result;
use crate::report::aggregate::{Cell, Summary};
use crate::report::effects::{Effect, Paired};
use crate::report::latex_text::{escape, heading, label};
use crate::report::lines::{Lines, SYNTHETIC, Shown, chance_note, further_parts, halves};
use crate::report::{Exporter, Table, footnotes};

/// Two `table` environments for the benchmark's figures of each task, then one or two for the others, and one for the effects.
#[derive(Clone, Copy, Debug)]
pub struct Latex;

/// What stands in front of all tables.
const HEAD: &str = "% \\usepackage{booktabs}\n% Each table fits a text width of 5.5 in.\n";
/// So many figures fit beside the words.
const FIGURES: usize = 4;
/// More missing runs than these are counted under a table and listed in its source: nobody prints seventy names.
const PRINTED: usize = 6;

impl Exporter for Latex {
    fn file(&self) -> &'static str {
        "tables.tex"
    }

    fn export(&self, summary: &Summary) -> Result<String> {
        let tables: String = summary.tables.iter().map(|table| of_task(summary, table)).collect();
        Ok(HEAD.to_owned() + &listed(summary) + &tables)
    }
}

/// One `table` environment.
struct Float<'a> {
    /// What it shows of its task.
    part: &'a str,
    /// Behind the title.
    caption: &'a str,
    /// As `tabular` takes them.
    columns: String,
    head: Vec<String>,
    groups: Vec<Vec<Vec<String>>>,
    notes: Vec<String>,
}

fn of_task(summary: &Summary, table: &Table) -> String {
    let [(micro, of_images), (macro_, of_classes)] = halves(table);
    let notes: Vec<String> = table.footnotes.iter().chain(&summary.footnotes).map(|note| printed(summary, note)).collect();
    let elsewhere = format!("Further notes: Table~\\ref{{{}}}.", name(summary, table, micro));
    let below = chance_note(table).map(|note| escape(&note)).into_iter().chain([elsewhere.clone()]).collect();
    let mut floats = vec![
        of_lines(micro, "every image counts alike. Mean$_{\\pm\\mathrm{std}}$ over the seeds, in per cent", &of_images, notes),
        of_lines(macro_, "every class counts alike. Mean$_{\\pm\\mathrm{std}}$ over the seeds, in per cent", &of_classes, below),
    ];
    let parts = ["further", "further still"];
    let further = further_parts(table, FIGURES);
    floats.extend(parts.into_iter().zip(&further).map(|(part, lines)| {
        of_lines(
            part,
            "further figures. Mean$_{\\pm\\mathrm{std}}$ over the seeds, in per cent but for the loss",
            lines,
            vec![elsewhere.clone()],
        )
    }));
    floats.extend(of_effects(&table.effects));
    floats.iter().map(|float| environment(summary, table, float)).collect()
}

fn of_lines<'a>(part: &'a str, caption: &'a str, lines: &Lines, notes: Vec<String>) -> Float<'a> {
    let line = |line: &Vec<Shown>| {
        let (words, figures) = line.split_at(lines.words);
        words.iter().map(word).chain(figures.iter().map(shown)).collect()
    };
    let groups = lines.groups.iter().map(|group| group.iter().map(line).collect());
    let (words, figures) = lines.headings.split_at(lines.words);
    let head = words.iter().map(|text| escape(text)).chain(figures.iter().map(|text| over_both(&heading(text))));
    Float {
        part,
        caption,
        columns: "l".repeat(words.len()) + &"r@{}l".repeat(figures.len()),
        head: head.collect(),
        groups: groups.map(|group| without_repeats(group, lines.words)).collect(),
        notes,
    }
}

/// A line a figure, since four intervals side by side are wider than a page; `None` where there are no effects.
fn of_effects(effects: &[Effect]) -> Option<Float<'static>> {
    let line = |effect: &Effect| {
        let Paired { pairs, mean, low, high } = effect.difference;
        let change = escape(&format!("{} → {}", effect.from, effect.to));
        let ends = low.zip(high).map_or("--".to_owned(), |(low, high)| format!("$[{low:+.2}, {high:+.2}]$"));
        let words = [escape(effect.axis), change, pairs.to_string(), escape(effect.metric.heading())];
        words.into_iter().chain([format!("${mean:+.2}$"), ends]).collect::<Vec<_>>()
    };
    let alike = |one: &Effect, other: &Effect| (one.axis, &one.from, &one.to) == (other.axis, &other.from, &other.to);
    let groups = effects.chunk_by(alike).map(|group| without_repeats(group.iter().map(line).collect(), 3));
    (!effects.is_empty()).then(|| Float {
        part: "effects",
        caption: "effects. Mean paired difference over runs that agree in all else, in percentage points, with Student's 95\\,\\% interval \
            over the pairs, which are taken to be independent; sizes have test sets of their own",
        columns: "llrlrr".into(),
        head: ["axis", "from $\\to$ to", "pairs", "figure", "difference", "95\\,\\% interval"].map(str::to_owned).into(),
        groups: groups.collect(),
        notes: vec![],
    })
}

fn environment(summary: &Summary, table: &Table, float: &Float) -> String {
    let banner = if summary.synthetic { format!("\\textbf{{{SYNTHETIC}.}} ") } else { String::new() };
    let (job, title) = (escape(&summary.job), escape(&table.title));
    let line = |line: &Vec<String>| format!("{} \\\\\n", line.join(" & "));
    let groups: Vec<String> = float.groups.iter().map(|group| group.iter().map(line).collect()).collect();
    // Rules between groups of several lines; single lines stand together.
    let rule = if float.groups.iter().any(|group| group.len() > 1) { "\\midrule\n" } else { "" };
    let notes: Vec<String> = float.notes.iter().map(|note| format!("{note}\\par\n")).collect();
    let notes = match notes.concat() {
        none if none.is_empty() => none,
        notes => {
            format!("\\par\\smallskip\n\\begin{{minipage}}{{\\linewidth}}\\footnotesize\\raggedright\n{notes}\\end{{minipage}}\n")
        }
    };
    format!(
        "\n\\begin{{table}}\n\\centering\\small\\setlength{{\\tabcolsep}}{{2pt}}\\renewcommand{{\\arraystretch}}{{1.15}}\n\
         \\caption{{{banner}{job}, {title}: {}. {} of {} runs.}}\n\\label{{{}}}\\par\\smallskip\n\
         \\begin{{tabular}}{{@{{}}{}@{{}}}}\n\\toprule\n{}\\midrule\n{}\\bottomrule\n\\end{{tabular}}\n{notes}\\end{{table}}\n",
        float.caption,
        summary.done,
        summary.of,
        name(summary, table, float.part),
        float.columns,
        line(&float.head),
        groups.join(rule),
    )
}

/// By what the text refers to a table.
fn name(summary: &Summary, table: &Table, part: &str) -> String {
    format!("tab:{}", label(&format!("{}-{}-{part}", summary.job, table.title)))
}

/// The first columns say a word once, not on every line below; a column does so only where those before it do.
fn without_repeats(mut lines: Vec<Vec<String>>, columns: usize) -> Vec<Vec<String>> {
    let full = lines.clone();
    for (line, above) in lines.iter_mut().skip(1).zip(&full) {
        let same = line.iter().zip(above).take(columns).take_while(|(cell, above)| cell == above).count();
        line.iter_mut().take(same).for_each(String::clear);
    }
    lines
}

/// A note as it is printed.
fn printed(summary: &Summary, note: &str) -> String {
    if summary.missing.len() > PRINTED && footnotes::missing(summary).as_deref() == Some(note) {
        return format!("{} of {} runs are missing; the source of these tables lists them", summary.missing.len(), summary.of);
    }
    escape(note)
}

/// The missing runs, as comments.
fn listed(summary: &Summary) -> String {
    summary.missing.iter().map(|id| format!("% missing: {id}\n")).collect()
}

fn word(shown: &Shown) -> String {
    match shown {
        Shown::Text(text) => escape(text),
        _ => "--".into(),
    }
}

/// A figure has two columns, so that points stand below each other whatever hangs on a mean; what has no point stands in the middle.
fn over_both(text: &str) -> String {
    format!("\\multicolumn{{2}}{{c}}{{{text}}}")
}

fn shown(shown: &Shown) -> String {
    match shown {
        Shown::Text(text) => over_both(&escape(text)),
        Shown::Figure(cell) => figure(cell),
        Shown::Plain(value) => format!("${value:.2}$ &"),
        Shown::Signed(value) | Shown::Interval(Paired { mean: value, .. }) => format!("${value:+.2}$ &"),
        Shown::Nothing => over_both("--"),
    }
}

/// The spread hangs below the mean and n, where seeds are missing, above it: side by side, four figures would not fit.
fn figure(Cell { metric, mean, std, n, of, best, .. }: &Cell) -> String {
    let places = metric.decimals();
    let spread = std.map_or("\\textrm{--}".to_owned(), |std| format!("{std:.places$}"));
    let of = if n < of { format!("^{{n={n}/{of}}}") } else { String::new() };
    let mean = if *best { format!("\\mathbf{{{mean:.places$}}}") } else { format!("{mean:.places$}") };
    format!("${mean}$ & ${of}_{{\\pm {spread}}}$")
}
