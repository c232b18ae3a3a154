//! Chunkers split a text into the pieces that are embedded.
//!
//! A chunker is one row of [`CHUNKERS`] and one file.

mod blocks;
mod markdown;
mod tokens;
mod whole;

use std::ops::Range;

use aikit_core::{Error, Result};

use super::loaders::{Heading, Loaded};

/// A row of [`CHUNKERS`].
#[derive(Clone, Copy, Debug)]
pub struct Chunker {
    /// The word for it in settings.
    pub name: &'static str,
    /// What it does, one sentence.
    pub summary: &'static str,
    split: fn(&Loaded, Size) -> Vec<Range<usize>>,
}

/// Every chunker.
pub const CHUNKERS: &[Chunker] = &[
    Chunker {
        name: "markdown",
        summary: "Makes chunks of sections; keeps code and tables in one piece where they fit.",
        split: markdown::split,
    },
    Chunker {
        name: "tokens",
        summary: "Fills chunks with whole paragraphs up to a number of tokens; begins anew at headings.",
        split: tokens::split,
    },
    Chunker {
        name: "whole",
        summary: "Makes one chunk of a whole document.",
        split: whole::split,
    },
];

/// How large a chunk may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Most tokens of a chunk.
    pub(super) tokens: usize,
    /// Tokens at the end of a chunk that the next one begins with, within one section.
    pub(super) overlap: usize,
}

/// A piece of a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    /// Headings above it, outermost first.
    pub(super) headings: Vec<String>,
    /// First character in the text.
    pub(super) start: usize,
    /// One past its last character.
    pub(super) end: usize,
}

impl Chunker {
    /// Finds a chunker by its name.
    ///
    /// # Errors
    ///
    /// `not_found` for an unknown name.
    pub fn find(name: &str) -> Result<&'static Self> {
        CHUNKERS.iter().find(|it| it.name == name).ok_or_else(|| {
            let names: Vec<String> = CHUNKERS.iter().map(|it| format!("`{}`", it.name)).collect();
            Error::not_found(format!("no chunker named `{name}`"))
                .with_hint(format!("use one of {}", names.join(", ")))
        })
    }

    /// Splits a text; pieces of white space only are left out.
    pub(super) fn split(&self, loaded: &Loaded, size: Size) -> Vec<Piece> {
        let text = loaded.text.as_str();
        let mut at = CharacterCount {
            text,
            byte: 0,
            count: 0,
        };
        let ranges = (self.split)(loaded, size).into_iter();
        let trimmed = ranges.filter_map(|range| trim(text, range));
        trimmed
            .map(|range| {
                let start = at.character_of(range.start);
                let piece = &text[range.clone()];
                Piece {
                    text: piece.to_owned(),
                    headings: path_at(&loaded.headings, range.start),
                    start,
                    end: start + piece.chars().count(),
                }
            })
            .collect()
    }
}

/// Counts tokens about as the tokenizers of models do, without one: a word, or each eighth of a
/// long one, and every mark of punctuation.
pub(super) fn count_tokens(text: &str) -> usize {
    let mut tokens = 0;
    let mut word = 0_usize;
    for character in text.chars() {
        if character.is_alphanumeric() || character == '_' {
            word += 1;
            continue;
        }
        tokens += word.div_ceil(WORD_CHARACTERS);
        word = 0;
        tokens += usize::from(!character.is_whitespace());
    }
    tokens + word.div_ceil(WORD_CHARACTERS)
}

/// Characters of a word that count as one token.
const WORD_CHARACTERS: usize = 8;

/// The headings a place stands under, outermost first.
fn path_at(headings: &[Heading], byte: usize) -> Vec<String> {
    let mut path: Vec<&Heading> = Vec::new();
    for heading in headings.iter().take_while(|it| it.start <= byte) {
        while path.last().is_some_and(|last| last.level >= heading.level) {
            path.pop();
        }
        path.push(heading);
    }
    path.into_iter().map(|it| it.title.clone()).collect()
}

fn trim(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let piece = &text[range.clone()];
    // Blank lines go; the white space that indents the first line stays.
    let blank = piece.len() - piece.trim_start().len();
    let line = piece[..blank].rfind('\n').map_or(0, |end| end + 1);
    let kept = piece.trim_end();
    (kept.len() > blank).then(|| range.start + line..range.start + kept.len())
}

/// Turns rising byte offsets into character offsets in one pass.
struct CharacterCount<'a> {
    text: &'a str,
    byte: usize,
    count: usize,
}

impl CharacterCount<'_> {
    fn character_of(&mut self, byte: usize) -> usize {
        if byte < self.byte {
            // Chunks overlap, so the next may begin a little before the last one's beginning.
            self.count -= self.text[byte..self.byte].chars().count();
        } else {
            self.count += self.text[self.byte..byte].chars().count();
        }
        self.byte = byte;
        self.count
    }
}
