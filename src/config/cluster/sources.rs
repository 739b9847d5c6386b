//! The text of a profile → what it says behind each key: the source of its value, or why there is none.

use std::collections::BTreeMap;

/// Full key (`walltime.max`, `gpus.0.slices.1.rgu`) → the comment behind its value. A line `# max: unknown; ...` stands for a key
/// that has none.
pub(super) fn sources(text: &str) -> BTreeMap<String, String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut section = String::new();
    let mut found = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("[[").and_then(|rest| rest.split("]]").next()) {
            section = element(&mut counts, name.trim());
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.trim().to_owned();
        } else if let Some((key, why)) = line.strip_prefix("# ").and_then(|rest| rest.split_once(": ")) {
            // Prose with a colon has blanks before it.
            if !key.contains(' ') {
                found.insert(join(&section, key), why.to_owned());
            }
        } else if let Some((key, value)) = line.split_once(" = ") {
            let source = value.rsplit_once(" # ").map_or("", |(_, comment)| comment.trim());
            found.insert(join(&section, key.trim()), source.to_owned());
        }
    }
    found
}

/// `gpus.slices` under the second `[[gpus]]` is `gpus.1.slices.0`, then `gpus.1.slices.1`.
fn element(counts: &mut BTreeMap<String, usize>, name: &str) -> String {
    let parent = name.rsplit_once('.').map(|(parent, own)| {
        let last = counts.get(parent).copied().unwrap_or(1).saturating_sub(1);
        format!("{parent}.{last}.{own}")
    });
    let path = parent.unwrap_or_else(|| name.to_owned());
    let count = counts.entry(path.clone()).or_default();
    *count += 1;
    format!("{path}.{}", *count - 1)
}

fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_found_under_the_full_name_of_its_key() {
        let text = "# A title: with a colon\nname = \"x # y\"  # ours\n[walltime]\nmax = 24   # wiki: p. 3\n# min: unknown; nobody says\n\
                    [[gpus]]\nspec = \"a\"  # one\n[[gpus]]\nspec = \"b\"  # two\n[[gpus.slices]]\nrgu = 1  # three\n[[gpus.slices]]\nrgu = 2";
        let found = sources(text);
        let said: Vec<(&str, &str)> = found.iter().map(|(key, source)| (key.as_str(), source.as_str())).collect();
        let expected = [
            ("gpus.0.spec", "one"),
            ("gpus.1.slices.0.rgu", "three"),
            ("gpus.1.slices.1.rgu", ""),
            ("gpus.1.spec", "two"),
            ("name", "ours"),
            ("walltime.max", "wiki: p. 3"),
            ("walltime.min", "unknown; nobody says"),
        ];
        assert_eq!(said, expected);
    }
}
