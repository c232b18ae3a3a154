//! `tokens`: whole paragraphs up to a number of tokens, never a word split.
//!
//! A heading begins a new chunk once the current one has a quarter of its size, so that short
//! sections stay together and long ones stay apart. A paragraph that is too long for a chunk is
//! cut between lines, a line between words.

use std::ops::Range;

use super::{
    Size,
    blocks::{Block, pack, push_paragraph},
};
use crate::rag::loaders::{Heading, Loaded};

/// A heading begins a new chunk when the current one has this share of its size.
const FILLED_SHARE: usize = 4;

pub(super) fn split(loaded: &Loaded, size: Size) -> Vec<Range<usize>> {
    let blocks = blocks(&loaded.text, &loaded.headings, size.tokens);
    pack(&blocks, size, size.tokens / FILLED_SHARE)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rag::{
        chunking::{Chunker, Piece, count_tokens},
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
