//! `tokens`: whole paragraphs up to a number of tokens, never a word split.
//!
//! A heading begins a new chunk once the current one has a quarter of its size, so that short
//! sections stay together and long ones stay apart. A paragraph that is too long for a chunk is
//! cut between lines, a line between words.

use std::ops::Range;

use super::{Size, count_tokens};
use crate::rag::loaders::{Heading, Loaded};

/// A heading begins a new chunk when the current one has this share of its size.
const FILLED_SHARE: usize = 4;

/// A run of characters without white space longer than this is no word of any language and may
/// be cut: encoded data, minified code.
const WORD_BYTES_MAX: usize = 1_024;

/// A part of a text that stays in one piece.
#[derive(Clone, Debug)]
struct Block {
    range: Range<usize>,
    tokens: usize,
    begins_section: bool,
}

pub(super) fn split(loaded: &Loaded, size: Size) -> Vec<Range<usize>> {
    let blocks = blocks(&loaded.text, &loaded.headings, size.tokens);
    let mut chunks: Vec<Range<usize>> = Vec::new();
    let (mut first, mut tokens) = (0, 0);
    for (place, block) in blocks.iter().enumerate() {
        let is_full = tokens + block.tokens > size.tokens;
        let is_filled = block.begins_section && tokens >= size.tokens / FILLED_SHARE;
        if place > first && (is_full || is_filled) {
            chunks.push(blocks[first].range.start..blocks[place - 1].range.end);
            first = place;
            if !block.begins_section {
                first = overlap(&blocks[..place], size, block.tokens);
            }
            tokens = blocks[first..place].iter().map(|it| it.tokens).sum();
        }
        tokens += block.tokens;
    }
    if let (Some(first), Some(last)) = (blocks.get(first), blocks.last()) {
        chunks.push(first.range.start..last.range.end);
    }
    chunks
}

/// The first block that the next chunk repeats: as many as fit the overlap and leave room.
fn overlap(done: &[Block], size: Size, next_tokens: usize) -> usize {
    let room = size.overlap.min(size.tokens.saturating_sub(next_tokens));
    let mut first = done.len();
    let mut tokens = 0;
    // The first block of all is never repeated: the chunk would only grow.
    while first > 1 {
        let block = &done[first - 1];
        tokens += block.tokens;
        if tokens > room {
            break;
        }
        first -= 1;
        if block.begins_section {
            break;
        }
    }
    first
}

/// Paragraphs, cut where they are too long.
fn blocks(text: &str, headings: &[Heading], tokens_max: usize) -> Vec<Block> {
    let mut found = Vec::new();
    let mut starts = headings.iter().map(|it| it.start).peekable();
    let mut paragraph: Option<Range<usize>> = None;
    let mut begins_section = false;
    let mut flush = |paragraph: &mut Option<Range<usize>>, begins_section: &mut bool| {
        if let Some(range) = paragraph.take() {
            push_paragraph(&mut found, text, range, tokens_max, *begins_section);
            *begins_section = false;
        }
    };
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let is_heading = starts.next_if_eq(&start).is_some();
        if is_heading || line.trim().is_empty() {
            flush(&mut paragraph, &mut begins_section);
        }
        if is_heading {
            begins_section = true;
        }
        let end = start + line.len();
        if !line.trim().is_empty() {
            paragraph.get_or_insert(start..end).end = end;
        }
        start = end;
    }
    flush(&mut paragraph, &mut begins_section);
    found
}

fn push_paragraph(
    found: &mut Vec<Block>,
    text: &str,
    range: Range<usize>,
    tokens_max: usize,
    begins_section: bool,
) {
    let first = found.len();
    let tokens = count_tokens(&text[range.clone()]);
    if tokens <= tokens_max {
        let begins_section = false;
        found.push(Block {
            range,
            tokens,
            begins_section,
        });
    } else {
        let mut start = range.start;
        for line in text[range].split_inclusive('\n') {
            let end = start + line.len();
            push_line(found, text, start..end, tokens_max);
            start = end;
        }
    }
    if let Some(block) = found.get_mut(first) {
        block.begins_section = begins_section;
    }
}

/// A line, or its words in groups when it is too long.
fn push_line(found: &mut Vec<Block>, text: &str, range: Range<usize>, tokens_max: usize) {
    let (mut begin, mut tokens, mut start) = (range.start, 0, range.start);
    let mut push = |range: Range<usize>, tokens| {
        found.push(Block {
            range,
            tokens,
            begins_section: false,
        });
    };
    for word in text[range.clone()].split_inclusive(char::is_whitespace) {
        for part in parts(word) {
            let part_tokens = count_tokens(part);
            if tokens + part_tokens > tokens_max && start > begin {
                push(begin..start, tokens);
                (begin, tokens) = (start, 0);
            }
            tokens += part_tokens;
            start += part.len();
        }
    }
    if start > begin {
        push(begin..start, tokens);
    }
}

/// A word as it is, or cut when it is far too long to be one.
fn parts(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let end = rest.floor_char_boundary(WORD_BYTES_MAX);
        let (part, after) = rest.split_at(end);
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rag::{
        chunking::{Chunker, Piece},
        loaders::Loader,
    };

    fn chunks(text: &str, tokens: usize, overlap: usize) -> Vec<Piece> {
        let loaded = Loader::find("a.md").unwrap().load(text.to_owned());
        let chunker = Chunker::find("tokens").unwrap();
        chunker.split(&loaded, Size { tokens, overlap })
    }

    #[test]
    fn chunks_hold_whole_paragraphs_and_know_their_place() {
        let text = "# Töp\n\none two three\n\nfour five\n\n## Sub\n\n  six seven\n";
        let found = chunks(text, 6, 0);
        let expected = [
            ("# Töp\n\none two three", &["Töp"][..]),
            ("four five", &["Töp"]),
            ("## Sub\n\n  six seven", &["Töp", "Sub"]),
        ];
        let characters: Vec<char> = text.chars().collect();
        for (piece, (text, headings)) in found.iter().zip(expected) {
            assert_eq!(
                (piece.text.as_str(), &piece.headings[..]),
                (
                    text,
                    &headings
                        .iter()
                        .map(|it| (*it).to_owned())
                        .collect::<Vec<_>>()[..]
                )
            );
            let there: String = characters[piece.start..piece.end].iter().collect();
            assert_eq!(there, piece.text);
        }
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn no_chunk_is_too_large_and_no_word_is_split_or_lost() {
        let words: Vec<String> = (0..500).map(|number| format!("w{number}")).collect();
        for (text, overlap) in [
            (words.join(" "), 0),
            (words.join("\n"), 3),
            (words.join("\n\n"), 3),
        ] {
            let found = chunks(&text, 10, overlap);
            let mut seen = Vec::new();
            for piece in &found {
                assert!(count_tokens(&piece.text) <= 10, "{}", piece.text);
                seen.extend(piece.text.split_whitespace().map(str::to_owned));
            }
            if overlap > 0 {
                assert!(seen.len() > words.len(), "chunks overlap");
                seen.dedup();
                let mut distinct = seen.clone();
                distinct.sort();
                distinct.dedup();
                assert_eq!(distinct.len(), words.len());
            } else {
                assert_eq!(seen, words);
            }
        }
    }

    #[test]
    fn a_huge_run_without_white_space_is_cut() {
        let found = chunks(&"é".repeat(100_000), 200, 0);
        assert!(found.len() > 50);
        let together: String = found.iter().map(|it| it.text.as_str()).collect();
        assert_eq!(together, "é".repeat(100_000));
    }

    #[test]
    fn an_empty_text_has_no_chunks() {
        assert_eq!(chunks("", 10, 2), []);
        assert_eq!(chunks(" \n\n\t\n", 10, 2), []);
    }
}
