//! A summary's tables → HTML.

use crate::report::Table;
use crate::report::aggregate::Cell;
use crate::report::figures::axis::thousands;
use crate::report::figures::svg::escape;
use crate::report::lines::{Lines, Shown, effect_lines, footnotes, further_lines, main_lines};
use crate::report::markdown::interval;

/// Everything one task has, with its footnotes.
#[must_use]
pub fn section(table: &Table) -> String {
    let mut text = format!("<h3>{}</h3>\n{}", escape(&table.title), of_lines(&main_lines(table)));
    for (name, lines) in [("Further figures", further_lines(table)), ("Effects", effect_lines(table))] {
        text.extend(lines.map(|lines| format!("<h4>{name}</h4>\n{}", of_lines(&lines))));
    }
    let notes: Vec<String> = footnotes(table).collect();
    text + &notes_of(&notes)
}

/// A list of notes; nothing of none.
#[must_use]
pub fn notes_of(notes: &[String]) -> String {
    let items: String = notes.iter().map(|note| format!("<li>{}</li>\n", escape(note))).collect();
    if items.is_empty() { items } else { format!("<ul class=\"notes\">\n{items}</ul>\n") }
}

/// A table of names and counts; whole numbers have their thousands set apart.
#[must_use]
pub fn plain(header: &[&str], rows: &[Vec<String>]) -> String {
    let is_number = |cell: &str| cell.parse::<f64>().is_ok();
    let of_numbers = |column: usize| rows.iter().all(|row| row.get(column).is_some_and(|cell| is_number(cell)));
    let class = |column| if of_numbers(column) { " class=\"number\"" } else { "" };
    let classes: Vec<&str> = (0..header.len()).map(class).collect();
    let text = |cell: &String| cell.parse().map_or_else(|_| escape(cell), thousands);
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&classes).map(|(cell, class)| format!("<td{class}>{}</td>", text(cell)));
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let heading: String = header.iter().zip(&classes).map(|(name, class)| format!("<th{class}>{}</th>", escape(name))).collect();
    let lines: String = rows.iter().map(line).collect();
    format!("<div class=\"wide\"><table>\n<thead><tr>{heading}</tr></thead>\n<tbody>\n{lines}</tbody>\n</table></div>\n")
}

fn of_lines(lines: &Lines) -> String {
    let class = |column: usize| if column < lines.words { "" } else { " class=\"number\"" };
    let heading = lines.headings.iter().enumerate().map(|(column, text)| format!("<th{}>{}</th>", class(column), escape(text)));
    let heading: String = heading.collect();
    let line = |line: &Vec<Shown>| {
        let cells = line.iter().enumerate().map(|(column, shown)| format!("<td{}>{}</td>", class(column), cell(shown)));
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let groups = lines.groups.iter().map(|group| format!("<tbody>\n{}</tbody>\n", group.iter().map(line).collect::<String>()));
    format!("<div class=\"wide\"><table>\n<thead><tr>{heading}</tr></thead>\n{}</table></div>\n", groups.collect::<String>())
}

fn cell(shown: &Shown) -> String {
    match shown {
        Shown::Text(text) => escape(text),
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
    let of = if n < of { format!(" <small>n={n}/{of}</small>") } else { String::new() };
    let value = format!("{mean:.places$}&nbsp;±&nbsp;{spread}");
    if *best { format!("<strong>{value}</strong>{of}") } else { format!("{value}{of}") }
}
