//! TOML text → a typed value, or an error that points at the line, lists what is valid and names the nearest.

use std::path::Path;

use miette::NamedSource;
use serde::de::DeserializeOwned;

use crate::error::{ConfigError, Error, IoContext, Result};

/// Reads and parses the TOML file at `path`.
pub fn from_file<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).at_named(path)?;
    from_text(&text, &path.display().to_string())
}

/// Parses TOML `text`; `name` is what messages call it.
pub fn from_text<T: DeserializeOwned>(text: &str, name: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| {
        let message = error.message().lines().next().unwrap_or("not valid TOML").to_owned();
        Error::from(ConfigError {
            help: help_for(&message),
            message,
            source_text: NamedSource::new(name, text.to_owned()),
            span: error.span().map(|span| (span.start, span.len()).into()),
        })
    })
}

/// The name among `valid` that `wrong` was most likely meant to be; `None` where nothing is near.
#[must_use]
pub fn nearest<'a>(wrong: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |name: &str| strsim::jaro_winkler(&wrong.to_lowercase(), &name.to_lowercase());
    let best = valid.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) > 0.8).then_some(best)
}

/// serde says "unknown field `x`, expected one of `a`, `b`": what of it helps is the nearest of the expected names.
fn help_for(message: &str) -> Option<String> {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (wrong, valid) = quoted.split_first().filter(|_| message.starts_with("unknown"))?;
    let list = format!("valid here: {}", valid.join(", "));
    Some(match nearest(wrong, valid.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? {list}"),
        None => list,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the keys matter")]
    struct Recipe {
        epochs: u32,
        momentum: f64,
    }

    #[test]
    fn a_misspelled_key_is_pointed_at_and_the_nearest_named() {
        let Error::Config(error) = from_text::<Recipe>("epochs = 3\nmomentun = 0.9\n", "job.toml").unwrap_err() else {
            panic!("not a configuration error");
        };
        assert_eq!(error.help.as_deref(), Some("did you mean `momentum`? valid here: epochs, momentum"));
        assert_eq!(error.span, Some((11, 8).into()));
    }

    #[test]
    fn a_name_like_none_of_the_valid_ones_is_not_guessed_at() {
        assert_eq!(nearest("narvall", ["fir", "narval"]), Some("narval"));
        assert_eq!(nearest("zzz", ["fir", "narval"]), None);
    }
}
