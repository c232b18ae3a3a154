//! Looks a quote up in a text, as a reader would: spaces, line breaks, kinds of quotation marks and
//! dashes do not matter, words and their order do.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization as _;

/// Shortest quote that says anything, in bytes of what is compared: three Chinese characters, or a
/// long word.
const QUOTE_BYTES_MIN: usize = 8;

/// Marks that models put around a quote.
pub(super) const MARKS: &[char] = &['"', '\'', '`', '“', '”', '‘', '’', '«', '»', '…'];

/// A text in which quotes are looked up.
#[derive(Debug)]
pub(super) struct Passage {
    plain: String,
    /// For each character of `plain`: its place in it in bytes, and that of the character of the
    /// text it comes from, in characters.
    places: Vec<(usize, usize)>,
    characters: usize,
}

impl Passage {
    pub(super) fn new(text: &str) -> Self {
        let mut passage = Self {
            plain: String::with_capacity(text.len()),
            places: Vec::new(),
            characters: text.chars().count(),
        };
        // Characters and the marks that combine with them are composed together.
        let mut group = String::new();
        let mut start = 0;
        for (place, character) in text.chars().enumerate() {
            if !group.is_empty() && !unicode_normalization::char::is_combining_mark(character) {
                passage.push(&group, start);
                group.clear();
            }
            if group.is_empty() {
                start = place;
            }
            group.push(character);
        }
        passage.push(&group, start);
        passage
    }

    fn push(&mut self, group: &str, place: usize) {
        for character in group.nfkc().filter_map(plain) {
            if character == ' ' && (self.plain.is_empty() || self.plain.ends_with(' ')) {
                continue;
            }
            self.places.push((self.plain.len(), place));
            self.plain.push(character);
        }
    }

    /// Where a quote stands in the text, in characters; `None` where it does not, and for one that
    /// is too short to say anything.
    pub(super) fn find(&self, quote: &str) -> Option<Range<usize>> {
        // Marks may be part of it, or put around it.
        let whole = self.place(quote.trim());
        whole.or_else(|| self.place(quote.trim().trim_matches(MARKS)))
    }

    fn place(&self, quote: &str) -> Option<Range<usize>> {
        let quote = Self::new(quote);
        let quote = quote.plain.trim();
        if quote.len() < QUOTE_BYTES_MIN {
            return None;
        }
        let start = self.plain.find(quote)?;
        let first = self.place_of(start);
        // Up to where the next character begins: what combines with the last one belongs to it.
        let last = self.place_of(start + quote.len() - 1);
        let mut places = self.places.iter().map(|(_, place)| *place);
        let end = places.find(|place| *place > last);
        let end = end.unwrap_or(self.characters);
        Some(first..end)
    }

    /// The place in the text of the character that holds a byte of what is compared.
    fn place_of(&self, byte: usize) -> usize {
        let after = self.places.partition_point(|(start, _)| *start <= byte);
        self.places[after.saturating_sub(1)].1
    }
}

/// The character as it is compared; `None` for one that is not seen.
fn plain(character: char) -> Option<char> {
    match character {
        it if it.is_whitespace() => Some(' '),
        '\u{00ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '`' => None,
        '“' | '”' | '„' | '«' | '»' | '″' => Some('"'),
        '‘' | '’' | '‚' | '′' => Some('\''),
        '‐' | '‑' | '‒' | '–' | '—' | '−' => Some('-'),
        it => Some(it),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, quote: &str) -> Option<String> {
        let range = Passage::new(text).find(quote)?;
        Some(text.chars().skip(range.start).take(range.len()).collect())
    }

    #[test]
    fn a_quote_is_found_as_a_reader_would() {
        let cases = [
            ("Bees make honey in summer.", "make honey", "make honey"),
            (
                "Bees make\n   honey.",
                "Bees make honey",
                "Bees make\n   honey",
            ),
            (
                "call ``str.join`` at the end",
                "call str.join at",
                "call ``str.join`` at",
            ),
            (
                "He said “it’s — fine”.",
                "said \"it's - fine\"",
                "said “it’s — fine”",
            ),
            (
                "the ﬁle of cafe\u{301} au lait",
                "file of café",
                "ﬁle of cafe\u{301}",
            ),
            (
                "soft\u{ad}ware is eating",
                "\"software is\"",
                "soft\u{ad}ware is",
            ),
            ("東京は日本の首都である", "日本の首都", "日本の首都"),
            (
                "a  last   sentence here",
                "last sentence here…",
                "last   sentence here",
            ),
        ];
        for (text, quote, expected) in cases {
            assert_eq!(found(text, quote).as_deref(), Some(expected), "{quote}");
        }
    }

    #[test]
    fn what_does_not_stand_there_is_not_found() {
        let text = "The default is 300 seconds, unless it is set to zero.";
        for quote in [
            "The default is 30 seconds",
            "the default is 300 seconds",
            "default seconds",
            "The default … zero",
            "is",
            "",
            "\"\"",
            "unless it is set to zero. And more",
        ] {
            assert_eq!(found(text, quote), None, "{quote}");
        }
    }

    #[test]
    fn any_part_of_a_text_is_found_where_it_stands() {
        let text = "Un Käse\u{308} – «zwei»\t\tKäse, zwei ﬁsche; e\u{301}\u{302}.";
        let characters: Vec<char> = text.chars().collect();
        for start in 0..characters.len() {
            for end in start..=characters.len() {
                let part: String = characters[start..end].iter().collect();
                let Some(range) = Passage::new(text).find(&part) else {
                    continue;
                };
                let place: String = characters[range].iter().collect();
                let plain = |text: &str| Passage::new(text).plain.trim().to_owned();
                let inner = plain(part.trim().trim_matches(MARKS));
                assert!(plain(&place).contains(&inner), "{part} at {place}");
            }
        }
    }
}
