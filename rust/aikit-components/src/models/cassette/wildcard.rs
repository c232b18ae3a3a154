//! Whether a recorded call, in which secrets are hidden, is one in which they are not.
//!
//! What is hidden depends on what was known while it was recorded: a variable, or what somebody
//! typed. A replay knows neither, so it asks with the text that the recording does not show.

use aikit_core::Value;

use super::{file::canonical, scrub::HIDDEN};

/// Whether something is hidden in `value`.
pub(super) fn hides(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(HIDDEN),
        Value::Bytes(bytes) => bytes
            .windows(HIDDEN.len())
            .any(|it| it == HIDDEN.as_bytes()),
        Value::List(items) => items.iter().any(hides),
        Value::Map(map) => map
            .iter()
            .any(|(name, value)| name.contains(HIDDEN) || hides(value)),
        _ => false,
    }
}

/// How many bytes of a recorded value stand in `asked` as they are, where that is the same but for
/// what is hidden; `None` where it is another one.
pub(super) fn fits(recorded: &Value, asked: &Value) -> Option<usize> {
    match (recorded, asked) {
        (Value::String(recorded), Value::String(asked)) => text_fits(recorded, asked),
        (Value::Bytes(recorded), Value::Bytes(asked)) => {
            // One character a byte, so that bytes are looked for like these.
            let characters = |bytes: &[u8]| bytes.iter().map(|it| char::from(*it)).collect();
            let (recorded, asked): (String, String) = (characters(recorded), characters(asked));
            text_fits(&recorded, &asked)
        }
        (Value::List(recorded), Value::List(asked)) if recorded.len() == asked.len() => {
            let pairs = recorded.iter().zip(asked);
            pairs.map(|(recorded, asked)| fits(recorded, asked)).sum()
        }
        (Value::Map(recorded), Value::Map(asked)) if recorded.len() == asked.len() => {
            let member = |(name, value): (&String, &Value)| match asked.get(name) {
                Some(asked) => fits(value, asked),
                None => asked
                    .iter()
                    .filter(|(asked, _)| !recorded.contains_key(*asked))
                    .find_map(|(asked, it)| Some(text_fits(name, asked)? + fits(value, it)?)),
            };
            recorded.iter().map(member).sum()
        }
        _ => (canonical(recorded) == canonical(asked)).then_some(0),
    }
}

/// As [`fits`]: each hidden part stands for one character or more.
fn text_fits(recorded: &str, asked: &str) -> Option<usize> {
    let Some((start, rest)) = recorded.split_once(HIDDEN) else {
        return (recorded == asked).then_some(asked.len());
    };
    let mut asked = asked.strip_prefix(start)?;
    let mut same = start.len();
    let mut parts = rest.split(HIDDEN).peekable();
    while let Some(part) = parts.next() {
        let hidden = asked.chars().next()?.len_utf8();
        asked = &asked[hidden..];
        same += part.len();
        if parts.peek().is_none() {
            return asked.ends_with(part).then_some(same);
        }
        asked = &asked[asked.find(part)? + part.len()..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(recorded: &str, asked: &str) -> Option<usize> {
        fits(&recorded.into(), &asked.into())
    }

    #[test]
    fn what_is_hidden_stands_for_any_text() {
        for (recorded, asked, expected) in [
            ("events of ***", "events of 2024", Some(10)),
            ("use ***ql", "use postgresql", Some(6)),
            ("*** and ***!", "ä and b and c!", Some(6)),
            ("***", "***", Some(0)),
            ("******", "ab", Some(0)),
            ("******", "a", None),
            ("events of ***", "events of ", None),
            ("use ***ql", "use ql", None),
            ("a *** b *** a", "a x b a", None),
            ("a", "a", Some(1)),
            ("a", "b", None),
        ] {
            assert_eq!(fit(recorded, asked), expected, "{recorded}, {asked}");
        }
    }

    #[test]
    fn data_is_compared_member_by_member() {
        let one = Value::map([
            ("a ***", Value::List(vec!["***x".into(), Value::Int(1)])),
            ("b", Value::Bytes(b"\xff***".as_slice().into())),
            ("c", Value::List(Vec::new())),
        ]);
        let other = |text: &str, byte: u8| {
            Value::map([
                ("c", Value::map::<&str>([])),
                ("b", Value::Bytes(vec![byte, b'y'].into())),
                ("a key", Value::List(vec![text.into(), Value::Float(1.0)])),
            ])
        };
        assert!(hides(&one) && !hides(&other("yx", 255)));
        assert!(fits(&one, &other("yx", 255)).is_some());
        assert_eq!(fits(&one, &other("xy", 255)), None);
        assert_eq!(fits(&one, &other("yx", 254)), None);
        assert_eq!(fits(&one, &Value::from("yx")), None);
    }
}
