//! Bounds on what a tool may answer.

use aikit_core::{Error, ErrorKind, Result, Value};

/// Largest answer of one tool call, as JSON.
pub const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// Refuses an answer that is larger than [`OUTPUT_BYTES_MAX`]. Nothing is cut off silently: the
/// caller is told, and asks for less.
///
/// # Errors
///
/// `limit_exceeded` that names the tool and the limit.
pub fn check_output(tool: &str, output: &Value) -> Result<()> {
    if json_bytes(output, OUTPUT_BYTES_MAX) <= OUTPUT_BYTES_MAX {
        return Ok(());
    }
    let message = format!("the answer of `{tool}` is larger than {OUTPUT_BYTES_MAX} bytes");
    Err(Error::new(ErrorKind::LimitExceeded, message)
        .with_hint("ask for less: a smaller part, fewer matches, a narrower query"))
}

/// The beginning of `text` that takes at most `bytes_max` bytes as JSON, and whether that is not
/// all. For what a tool that has acted reports: refusing its answer would hide that it acted.
pub fn fit(mut text: String, bytes_max: usize) -> (String, bool) {
    let mut bytes = 2;
    let over = text.char_indices().find(|(_, character)| {
        bytes += character.len_utf8() + usize::from(is_escaped(*character));
        bytes > bytes_max
    });
    let Some((index, _)) = over else {
        return (text, false);
    };
    text.truncate(index);
    (text, true)
}

fn is_escaped(character: char) -> bool {
    matches!(character, '"' | '\\' | ..' ')
}

/// About how long `value` is as JSON; stops counting beyond `enough`.
pub(crate) fn json_bytes(value: &Value, enough: usize) -> usize {
    let mut stack = vec![value];
    let mut bytes = 0;
    while let Some(value) = stack.pop() {
        bytes += match value {
            Value::Null | Value::Bool(_) => 4,
            Value::Int(_) | Value::Float(_) => 8,
            Value::String(text) => text_bytes(text),
            Value::Bytes(data) => data.len().div_ceil(3) * 4 + 13,
            Value::List(items) => {
                stack.extend(items);
                items.len() + 2
            }
            Value::Map(map) => {
                stack.extend(map.values());
                map.keys().map(|key| text_bytes(key) + 2).sum::<usize>() + 2
            }
        };
        if bytes > enough {
            break;
        }
    }
    bytes
}

fn text_bytes(text: &str) -> usize {
    let escapes = text
        .bytes()
        .filter(|it| is_escaped(char::from(*it)))
        .count();
    text.len() + escapes + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_at_the_limit_passes_and_one_beyond_is_refused() {
        let text = |length: usize| Value::from("x".repeat(length));
        assert!(check_output("t", &text(OUTPUT_BYTES_MAX - 2)).is_ok());
        let error = check_output("t", &text(OUTPUT_BYTES_MAX - 1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert!(error.message().contains("`t`") && error.hint().is_some());
    }

    #[test]
    fn what_fits_passes_the_check_to_the_byte() {
        for unit in ["x", "\u{0}", "\"", "é", "\u{fffd}"] {
            let (text, is_cut) = fit(unit.repeat(1000), 200);
            assert!(is_cut && text.starts_with(unit), "{unit:?}");
            let bytes = json_bytes(&Value::from(text.as_str()), 1000);
            assert!((198..=200).contains(&bytes), "{unit:?}: {bytes}");
        }
        assert_eq!(fit("abc".to_owned(), 5), ("abc".to_owned(), false));
        assert_eq!(fit("abc".to_owned(), 4), ("ab".to_owned(), true));
    }

    #[test]
    fn lists_maps_and_bytes_count_with_what_they_hold() {
        let nested = Value::map([("key", Value::List(vec![Value::from("ab"); 3]))]);
        assert_eq!(
            json_bytes(&nested, 1000),
            "{\"key\":[\"ab\",\"ab\",\"ab\"]}".len() + 2
        );
        let bytes = Value::Bytes(vec![0; 300].into());
        assert!(json_bytes(&bytes, 1000) >= 400);
    }
}
