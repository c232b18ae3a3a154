//! Half code points in JSON: JavaScript writes them, and no string of Rust can hold them.

/// The same JSON with U+FFFD in place of escapes that are half a code point; nothing when there is
/// none. A front end that cuts a text between the halves of an emoji sends one, and waits for the
/// answer (RFC 8259, section 8.2).
pub(super) fn replaced(json: &[u8]) -> Option<Vec<u8>> {
    let mut mended = json.to_vec();
    let mut found = false;
    let mut index = 0;
    while index < mended.len() {
        if mended[index] != b'\\' {
            index += 1;
            continue;
        }
        match (unit(&mended, index), unit(&mended, index + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => index += 12,
            (Some(0xd800..=0xdfff), _) => {
                mended[index..index + 6].copy_from_slice(br"\ufffd");
                found = true;
                index += 6;
            }
            // Behind the backslash is no beginning of another escape.
            _ => index += 2,
        }
    }
    found.then_some(mended)
}

/// The UTF-16 code unit whose escape begins at `index`.
fn unit(json: &[u8], index: usize) -> Option<u16> {
    let digits = json.get(index..index + 6)?.strip_prefix(br"\u")?;
    let digits = std::str::from_utf8(digits).ok()?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_replaced_and_pairs_are_kept() {
        for (json, expected) in [
            (r#""plain \\ud83d \" \n \u00e4""#, None),
            (r#""\ud83d\ude00""#, None),
            (r#""\ud83d""#, Some(r#""\ufffd""#)),
            (r#""\uDE00x""#, Some(r#""\ufffdx""#)),
            (r#""\ud83d\ud83d\ude00""#, Some(r#""\ufffd\ud83d\ude00""#)),
            (r#""\ud83d\u0041""#, Some(r#""\ufffd\u0041""#)),
            (r#""\\\ud83d""#, Some(r#""\\\ufffd""#)),
            (r#""\ud83"#, None),
            ("\\", None),
            (r"\u", None),
        ] {
            let found = replaced(json.as_bytes());
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{json}");
        }
    }
}
