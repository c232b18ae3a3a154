//! Texts inside of HTML and SVG.

/// A text as it stands between tags and in quoted attributes. What XML cannot hold, such as control
/// characters, is replaced: a drawing with one of them would not be shown at all.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(it),
            '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            other if other.is_control() => escaped.push(char::REPLACEMENT_CHARACTER),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The beginning of a text that is longer than `most` characters, on one line.
pub fn shorten(text: &str, most: usize) -> String {
    let mut left = text.chars();
    let mut short: String = left
        .by_ref()
        .take(most)
        .map(|it| if it.is_control() { ' ' } else { it })
        .collect();
    if left.next().is_some() {
        short.pop();
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_leave_their_place() {
        assert_eq!(
            escape("<b a='1' c=\"2\">&\u{0}\u{1b}\u{ffff}\n"),
            "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;\u{fffd}\u{fffd}\u{fffd}\n"
        );
    }

    #[test]
    fn long_texts_are_cut_by_characters() {
        assert_eq!(shorten("äöü\n", 4), "äöü ");
        assert_eq!(shorten("äöüß", 3), "äö…");
        assert_eq!(shorten("", 0), "");
    }
}
