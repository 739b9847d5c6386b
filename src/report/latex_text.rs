//! Words → LaTeX that prints them.

/// Text whose special characters LaTeX prints instead of obeying.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::new();
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => escaped.extend(['\\', c]),
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            // In TeX's first encoding these three have other letters.
            '<' => escaped.push_str("\\textless{}"),
            '>' => escaped.push_str("\\textgreater{}"),
            '|' => escaped.push_str("\\textbar{}"),
            // The end of a line takes these for its own arguments.
            '[' | ']' | '*' => escaped.extend(['{', c, '}']),
            '"' => {
                escaped.push_str(if quoted { "''" } else { "``" });
                quoted = !quoted;
            }
            '±' => escaped.push_str("$\\pm$"),
            '→' => escaped.push_str("$\\to$"),
            '−' => escaped.push_str("$-$"),
            '×' => escaped.push_str("$\\times$"),
            '≤' => escaped.push_str("$\\le$"),
            '≥' => escaped.push_str("$\\ge$"),
            '—' => escaped.push_str("--"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The heading of a column: two words stand one above the other.
pub(super) fn heading(text: &str) -> String {
    match text.split_once(' ') {
        Some((above, below)) => format!("\\shortstack{{\\rule{{0pt}}{{2.2ex}}{}\\\\{}}}", escape(above), escape(below)),
        None => escape(text),
    }
}

/// A name that `\label` and `\ref` take.
pub(super) fn label(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_taken_for_a_command() {
        assert_eq!(escape(r"a_b & 5% \x"), r"a\_b \& 5\% \textbackslash{}x");
        assert_eq!(escape("[a]* <b>"), "{[}a{]}{*} \\textless{}b\\textgreater{}");
        assert_eq!(escape("\"f1\" → \"f2\"\nx"), "``f1'' $\\to$ ``f2'' x");
        assert_eq!(label("my job-insect_order-micro"), "my-job-insect-order-micro");
    }

    #[test]
    fn a_heading_of_two_words_is_as_wide_as_one() {
        assert_eq!(
            (heading("macro top-1"), heading("top-1")),
            ("\\shortstack{\\rule{0pt}{2.2ex}macro\\\\top-1}".into(), "top-1".into())
        );
    }
}
