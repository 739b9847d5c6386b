//! What a store or a hub answered → why, in words for whoever runs the push. An answer may repeat signatures and keys: of a store's XML
//! nothing but its code is shown.

use crate::transfer::push::tries::Refusal;

/// Answers of S3 stores.
pub(super) fn of_store(status: u16, body: &str) -> Refusal {
    let code = code(body).unwrap_or_default();
    let full = status == 507
        || ["QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientCapacity"].contains(&code);
    let words = match code {
        _ if full => "the store is full, or its quota is used up",
        "AccessDenied" => "the keys do not allow it",
        "InvalidAccessKeyId" => "the store does not know the access key",
        "SignatureDoesNotMatch" => "the secret key is not the access key's, or the region is another",
        "ExpiredToken" | "InvalidToken" => "the session token has expired",
        "RequestTimeTooSkewed" => "the clock of this machine is off",
        "AuthorizationHeaderMalformed" | "PermanentRedirect" | "TemporaryRedirect" => {
            "the bucket is in another region: set AWS_REGION, or --endpoint"
        }
        "NoSuchBucket" => "there is no such bucket",
        "EntityTooLarge" | "EntityTooSmall" => "a part has a length that the store does not take: try another --part-mib",
        "BadDigest" | "InvalidDigest" => "the bytes were damaged on the way",
        "SlowDown" => "the store asks for a slower pace",
        _ if status == 403 => "the keys do not allow it",
        _ if status == 404 => "it is not there",
        _ => "the store refused",
    };
    let again = ["RequestTimeout", "BadDigest", "OperationAborted", "IncompleteBody"].contains(&code);
    let space = if code.is_empty() { "" } else { " " };
    Refusal { why: format!("{words} ({status}{space}{code})"), full, again }
}

/// The code of an S3 error: one word of letters and digits, or it is none.
pub(super) fn code(body: &str) -> Option<&str> {
    let code = body.split_once("<Code>")?.1.split_once("</Code>")?.0;
    Some(code).filter(|code| code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Answers of the Hugging Face Hub: JSON with an `error`, or a page.
pub(super) fn of_hub(status: u16, body: &str) -> Refusal {
    let said = serde_json::from_str::<serde_json::Value>(body).ok();
    let said =
        said.as_ref().and_then(|value| value.get("error")?.as_str().or_else(|| value.get("message")?.as_str())).unwrap_or("");
    let said: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
    let lower = said.to_lowercase();
    let full = status == 507 || (status >= 400 && (lower.contains("quota") || lower.contains("storage limit")));
    let words = match status {
        _ if full => "the hub has no more room for this account",
        401 => "the hub does not take the token",
        403 => "the token does not allow it",
        404 => "there is no such repository or branch, or the token does not show it",
        409 | 412 => "somebody else changed the repository meanwhile",
        413 => "the hub finds it too large",
        429 => "the hub asks for a slower pace",
        _ => "the hub refused",
    };
    let space = if said.is_empty() { "" } else { ": " };
    Refusal { why: format!("{words} ({status}{space}{said})"), full, again: matches!(status, 409 | 412) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stores_reasons_are_told_in_words_and_what_it_repeats_is_not() {
        let body = "<Error><Code>SignatureDoesNotMatch</Code><SignatureProvided>abc123</SignatureProvided></Error>";
        let refusal = of_store(403, body);
        assert_eq!(refusal.why, "the secret key is not the access key's, or the region is another (403 SignatureDoesNotMatch)");
        assert_eq!(of_store(404, "").why, "it is not there (404)");
        assert!(of_store(507, "").full && of_store(403, "<Code>QuotaExceeded</Code>").full);
        assert!(of_store(400, "<Code>RequestTimeout</Code>").again);
        assert_eq!(code("<Code><b>x</b></Code>"), None);
    }

    #[test]
    fn a_hubs_reasons_are_told_in_words() {
        let refusal = of_hub(403, r#"{"error":"Private repository storage limit reached,\nplease upgrade"}"#);
        assert!(refusal.full);
        assert_eq!(
            refusal.why,
            "the hub has no more room for this account (403: Private repository storage limit reached, please upgrade)"
        );
        assert!(!of_hub(403, r#"{"error":"You need write access"}"#).full);
        assert_eq!(of_hub(502, "<html>").why, "the hub refused (502)");
    }
}
