//! Bytes → a `data:` URI, in base64 (RFC 4648, §4).

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `data:{media};base64,…`.
#[must_use]
pub fn data_uri(media: &str, bytes: &[u8]) -> String {
    let mut text = format!("data:{media};base64,");
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { digit as char } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        let of = |bytes: &str| data_uri("x/y", bytes.as_bytes());
        let encoded = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(of);
        let expected =
            ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"].map(|text| format!("data:x/y;base64,{text}"));
        assert_eq!(encoded, expected);
    }
}
