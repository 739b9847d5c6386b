//! Google Drive's page between a large file and whoever wants it → the address behind its button.
//!
//! Drive scans no file beyond 100 MB for viruses and says so on a page, with a form that leads on. Nothing but that form is believed.

/// The address that the form of `page` leads to; `None` where there is no such form. `page` is HTML.
#[must_use]
pub fn behind(page: &str) -> Option<String> {
    let form = page.split("<form").skip(1).find(|form| attribute(tag(form), "id").as_deref() == Some("download-form"))?;
    let form = form.split("</form>").next()?;
    let action =
        attribute(tag(form), "action").filter(|action| action.starts_with("https://") || action.starts_with("http://"))?;
    let inputs = form.split("<input").skip(1).map(tag).filter(|input| attribute(input, "type").as_deref() == Some("hidden"));
    let pairs: Vec<String> = inputs
        .filter_map(|input| Some(format!("{}={}", escaped(&attribute(input, "name")?), escaped(&attribute(input, "value")?))))
        .collect();
    let joint = if action.contains('?') { '&' } else { '?' };
    Some(format!("{action}{joint}{}", pairs.join("&")))
}

/// The text of a tag up to its end.
fn tag(text: &str) -> &str {
    text.split('>').next().unwrap_or_default()
}

/// The value of an attribute in double quotes, its entities resolved.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let value = rest.split('"').next()?;
    Some(value.replace("&amp;", "&").replace("&quot;", "\"").replace("&#39;", "'"))
}

/// `text` as one part of an address: what has a meaning there is escaped (RFC 3986, section 2.1).
pub(super) fn escaped(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_leads_on_and_nothing_else_does() {
        let page = r#"<html><form id="search" action="https://example.org/"></form>
<form id="download-form" action="https://drive.usercontent.google.com/download" method="get">
<input type="submit" value="Download anyway"/><input type="hidden" name="id" value="1a_B-c"><input type="hidden" name="export" value="download">
<input type="hidden" name="confirm" value="t"><input type="hidden" name="uuid" value="a&amp;b c"></form><input type="hidden" name="x" value="y">"#;
        let expected = "https://drive.usercontent.google.com/download?id=1a_B-c&export=download&confirm=t&uuid=a%26b%20c";
        assert_eq!(behind(page).as_deref(), Some(expected));
        assert_eq!(behind("<html>Quota exceeded</html>"), None);
        assert_eq!(behind(r#"<form id="download-form" action="javascript:x()"></form>"#), None);
    }
}
