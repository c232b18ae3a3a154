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

/// About how long `value` is as JSON; stops counting beyond `enough`.
fn json_bytes(value: &Value, enough: usize) -> usize {
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
        .filter(|it| matches!(it, b'"' | b'\\' | ..b' '))
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
