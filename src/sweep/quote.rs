//! Names and paths from outside → text that is safe inside a shell script.

use std::borrow::Cow;

use crate::error::{Error, Result};

/// One word of a shell, whatever it holds.
pub fn word(text: &str) -> Result<String> {
    let quoted =
        shlex::try_quote(text).map_err(|_| Error::usage(format!("{text:?} holds a zero byte, which no shell can take")))?;
    Ok(match quoted {
        Cow::Borrowed(plain) => plain.to_owned(),
        Cow::Owned(quoted) => quoted,
    })
}

/// A path of a job file as one word that a shell resolves as this program does: `$NAME` and `${NAME}` come from the environment, all
/// else is literal. `$SCRATCH/a b` becomes `"${SCRATCH}"'/a b'`.
pub fn path(text: &str) -> Result<String> {
    let mut parts = text.split('$');
    let mut quoted = String::new();
    let push = |quoted: &mut String, literal: &str| -> Result<()> {
        if !literal.is_empty() {
            quoted.push_str(&word(literal)?);
        }
        Ok(())
    };
    push(&mut quoted, parts.next().unwrap_or_default())?;
    for part in parts {
        let (name, rest) = match part.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(braced) => braced,
            None => part.split_at(part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len())),
        };
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            return Err(Error::usage(format!("the path `{text}` holds a `$` that begins no variable"))
                .with_help("write $NAME or ${NAME}, or choose a path without `$`"));
        }
        quoted.push_str(&format!("\"${{{name}}}\""));
        push(&mut quoted, rest)?;
    }
    Ok(if quoted.is_empty() { "''".into() } else { quoted })
}

/// Text for a comment: on one line, whatever it holds.
#[must_use]
pub fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// A name for a Slurm job: letters, digits, `.`, `_` and `-`, so that `--job-name` and `%x` in file names cannot be misread.
#[must_use]
pub fn job_name(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_stay_variables_and_all_else_is_literal() {
        assert_eq!(path("$SCRATCH/a b").unwrap(), "\"${SCRATCH}\"'/a b'");
        assert_eq!(path("${SCRATCH}2/b").unwrap(), "\"${SCRATCH}\"2/b");
        assert_eq!(path("jobs/a.toml").unwrap(), "jobs/a.toml");
        assert!(path("a/$(reboot)").unwrap_err().to_string().contains("begins no variable"));
        assert!(path("${x:-`reboot`}").is_err());
    }

    #[test]
    fn no_name_can_leave_its_comment_or_directive() {
        assert_eq!(comment("a\nrm -rf b"), "a?rm -rf b");
        assert_eq!(job_name("a'b;c \"$(d)\""), "a-b-c----d--");
    }
}
