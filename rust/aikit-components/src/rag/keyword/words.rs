//! The words of a text as the keyword index knows them: folded, lower case, stemmed.

use std::collections::HashMap;

use aikit_core::{Error, Result};
use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization as _;

use crate::{nearest, rag::embedders::STOP_WORDS};

/// Forms of words that are remembered; beyond that a text is data rather than language.
const KNOWN_MAX: usize = 100_000;

/// Longest word in bytes; of what is longer, encoded data mostly, the beginning counts.
const WORD_BYTES_MAX: usize = 128;

/// A language whose words are stemmed; `none` leaves them as they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::rag) struct Language {
    pub(in crate::rag) name: &'static str,
    algorithm: Option<Algorithm>,
}

const fn language(name: &'static str, algorithm: Algorithm) -> Language {
    Language {
        name,
        algorithm: Some(algorithm),
    }
}

/// Every language.
const LANGUAGES: &[Language] = &[
    language("arabic", Algorithm::Arabic),
    language("danish", Algorithm::Danish),
    language("dutch", Algorithm::Dutch),
    language("english", Algorithm::English),
    language("finnish", Algorithm::Finnish),
    language("french", Algorithm::French),
    language("german", Algorithm::German),
    language("greek", Algorithm::Greek),
    language("hungarian", Algorithm::Hungarian),
    language("italian", Algorithm::Italian),
    Language {
        name: "none",
        algorithm: None,
    },
    language("norwegian", Algorithm::Norwegian),
    language("portuguese", Algorithm::Portuguese),
    language("romanian", Algorithm::Romanian),
    language("russian", Algorithm::Russian),
    language("spanish", Algorithm::Spanish),
    language("swedish", Algorithm::Swedish),
    language("tamil", Algorithm::Tamil),
    language("turkish", Algorithm::Turkish),
];

impl Language {
    /// Finds a language by its English name.
    pub(in crate::rag) fn find(name: &str) -> Result<Self> {
        let found = LANGUAGES.iter().find(|it| it.name == name);
        found.copied().ok_or_else(|| {
            let names: Vec<&str> = LANGUAGES.iter().map(|it| it.name).collect();
            let all = format!("use one of {}", names.join(", "));
            let hint = nearest::hint(name, names, all);
            Error::not_found(format!("no language named `{name}`")).with_hint(hint)
        })
    }

    /// The distinct words of a question, in order. Words that only build the sentence are left
    /// out, unless it has no others.
    pub(in crate::rag) fn question(self, text: &str, words_max: usize) -> Question {
        let mut words = Words::new(self);
        let (mut telling, mut filling) = (Vec::new(), Vec::new());
        words.each(text, |word, is_telling| {
            let list: &mut Vec<String> = if is_telling {
                &mut telling
            } else {
                &mut filling
            };
            if list.len() < words_max && !list.iter().any(|it| it == word) {
                list.push(word.to_owned());
            }
        });
        let is_filling = telling.is_empty();
        Question {
            words: if is_filling { filling } else { telling },
            is_filling,
        }
    }

    fn is_stop_word(self, word: &str) -> bool {
        self.algorithm == Some(Algorithm::English)
            && STOP_WORDS.split_ascii_whitespace().any(|it| it == word)
    }
}

/// What is looked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::rag) struct Question {
    pub(super) words: Vec<String>,
    /// Whether they are words that only build a sentence, such as `to be or not to be`.
    pub(super) is_filling: bool,
}

/// Finds the words of texts; remembers what it made of each.
pub(super) struct Words {
    language: Language,
    stemmer: Option<Stemmer>,
    known: HashMap<String, Word>,
}

#[derive(Clone, Debug)]
struct Word {
    stem: String,
    is_telling: bool,
}

impl Words {
    pub(super) fn new(language: Language) -> Self {
        Self {
            language,
            stemmer: language.algorithm.map(Stemmer::create),
            known: HashMap::new(),
        }
    }

    /// Calls `found` with each word of a text, and whether it says what the text is about.
    pub(super) fn each(&mut self, text: &str, mut found: impl FnMut(&str, bool)) {
        let runs = text.split(|it: char| !(it.is_alphanumeric() || is_mark(it)));
        for run in runs.filter(|it| !it.is_empty()) {
            if run.is_ascii() || !run.contains(is_unspaced) {
                self.one(run, &mut found);
                continue;
            }
            let mut rest = run;
            while let Some(first) = rest.chars().next() {
                let is_same = |it: char| is_unspaced(it) == is_unspaced(first);
                let end = rest.find(|it| !is_same(it)).unwrap_or(rest.len());
                let (part, after) = rest.split_at(end);
                if is_unspaced(first) {
                    pairs(part, &mut found);
                } else {
                    self.one(part, &mut found);
                }
                rest = after;
            }
        }
    }

    fn one(&mut self, raw: &str, found: &mut impl FnMut(&str, bool)) {
        let raw = &raw[..raw.floor_char_boundary(WORD_BYTES_MAX)];
        if let Some(word) = self.known.get(raw) {
            return found(&word.stem, word.is_telling);
        }
        let word = self.word(raw);
        if !word.stem.is_empty() {
            found(&word.stem, word.is_telling);
        }
        if self.known.len() < KNOWN_MAX {
            self.known.insert(raw.to_owned(), word);
        }
    }

    fn word(&self, raw: &str) -> Word {
        let lower = raw.nfkc().collect::<String>().to_lowercase();
        let is_telling = !self.language.is_stop_word(&lower);
        let stem = match (&self.stemmer, self.language.algorithm) {
            // The endings of other languages have accents, those of English have none.
            (Some(stemmer), Some(Algorithm::English)) => {
                stemmer.stem(&without_accents(&lower)).into_owned()
            }
            (Some(stemmer), _) => without_accents(&stemmer.stem(&lower)),
            (None, _) => without_accents(&lower),
        };
        Word { stem, is_telling }
    }
}

/// A word as it is typed without accents, points of vowels and the like.
fn without_accents(word: &str) -> String {
    if word.is_ascii() {
        return word.to_owned();
    }
    word.nfd().filter(|it| !is_accent(*it)).nfc().collect()
}

/// Marks that are left out in typing: accents of Latin, Greek and Cyrillic letters, Hebrew points,
/// Arabic vowels. Those of other scripts are letters in their own right.
fn is_accent(it: char) -> bool {
    matches!(it, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{64b}'..='\u{65f}' | '\u{670}')
}

fn is_mark(it: char) -> bool {
    unicode_normalization::char::is_combining_mark(it)
}

/// Letters of scripts that write words without spaces between them.
fn is_unspaced(it: char) -> bool {
    matches!(it,
        '\u{e00}'..='\u{eff}'        // Thai, Lao
        | '\u{1000}'..='\u{109f}'    // Burmese
        | '\u{1780}'..='\u{17ff}'    // Khmer
        | '\u{3005}'..='\u{30ff}'    // Hiragana, Katakana
        | '\u{3400}'..='\u{9fff}'    // Han
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// Every two letters that follow each other: there is no telling where a word ends.
fn pairs(run: &str, found: &mut impl FnMut(&str, bool)) {
    let letters: Vec<char> = run.nfkc().collect();
    if let [one] = letters[..] {
        found(one.encode_utf8(&mut [0; 4]), true);
    }
    let mut pair = String::new();
    for two in letters.windows(2) {
        pair.clear();
        pair.extend(two);
        found(&pair, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(language: &str, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        Words::new(Language::find(language).unwrap())
            .each(text, |word, _| found.push(word.to_owned()));
        found
    }

    #[test]
    fn forms_case_and_accents_of_a_word_are_one() {
        let cases = [
            ("english", "Copies, copying: COPIED!", "copi copi copi"),
            ("english", "café cafe\u{301} CAFÉ", "cafe cafe cafe"),
            (
                "english",
                "read_file ﬁle Ångström",
                "read file file angstrom",
            ),
            ("german", "Häuser häusern", "haus haus"),
            ("french", "étudiée étudié", "etudi etudi"),
            ("russian", "книги книгой", "книг книг"),
            ("none", "Copies naïve", "copies naive"),
            ("none", "日本語 東", "日本 本語 東"),
            ("none", "Rust言語です2", "rust 言語 語で です 2"),
            ("none", "हिन्दी", "हिन्दी"),
            ("none", "ガス カス", "ガス カス"),
            ("none", " .,; ", ""),
        ];
        for (language, text, expected) in cases {
            let expected: Vec<&str> = expected.split_whitespace().collect();
            assert_eq!(words(language, text), expected, "{text}");
        }
    }

    #[test]
    fn a_question_is_its_telling_words_once() {
        let english = Language::find("english").unwrap();
        let cases = [
            ("How do I copy a file, or files?", "copi file", false),
            ("to be or not to be", "to be or not", true),
            ("+ - \" ( AND *", "and", true),
            ("", "", true),
        ];
        for (text, expected, is_filling) in cases {
            let words = expected.split_whitespace().map(str::to_owned).collect();
            let expected = Question { words, is_filling };
            assert_eq!(english.question(text, 100), expected, "{text}");
        }
        assert_eq!(english.question("one two three", 2).words.len(), 2);
    }

    #[test]
    fn a_language_that_is_misspelt_finds_its_neighbour() {
        let error = Language::find("englsh").unwrap_err();
        assert_eq!(error.message(), "no language named `englsh`");
        assert_eq!(error.hint(), Some("did you mean `english`?"));
        assert!(
            Language::find("klingon")
                .unwrap_err()
                .hint()
                .unwrap()
                .contains("none")
        );
    }
}
