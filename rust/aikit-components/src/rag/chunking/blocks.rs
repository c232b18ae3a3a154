//! Blocks: the parts of a text that stay in one piece, and how chunks are filled with them.

use std::ops::Range;

use super::{Size, count_tokens};

/// A run of characters without white space longer than this is no word of any language and may
/// be cut: encoded data, minified code.
const WORD_BYTES_MAX: usize = 1_024;

/// A part of a text that stays in one piece.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) range: Range<usize>,
    pub(super) tokens: usize,
    pub(super) begins_section: bool,
}

/// Fills chunks with blocks. A block that begins a section begins a chunk once the current one has
/// `filled` tokens; the last blocks of a chunk are repeated in the next one where that is allowed.
pub(super) fn pack(blocks: &[Block], size: Size, filled: usize) -> Vec<Range<usize>> {
    let mut chunks: Vec<Range<usize>> = Vec::new();
    let (mut first, mut tokens) = (0, 0);
    for (place, block) in blocks.iter().enumerate() {
        let is_full = tokens + block.tokens > size.tokens;
        let is_filled = block.begins_section && tokens >= filled;
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

/// A paragraph in one piece, or cut between lines and words where it is too long.
pub(super) fn push_paragraph(
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
pub(super) fn push_line(
    found: &mut Vec<Block>,
    text: &str,
    range: Range<usize>,
    tokens_max: usize,
) {
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
