//! `markdown`: chunks are sections, or parts of one section; code and tables stay in one piece.
//!
//! A section that fits a chunk with all its subsections is one chunk. One that does not is split:
//! what stands before its first subsection fills chunks of its own, and each subsection is looked
//! at in the same way. So no chunk mixes parts of two sections, and the headings above a chunk
//! hold for all of it. Blocks of code, tables, lists and quotes are cut only where they do not fit
//! by themselves, and then between lines, items and rows.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{
    Size,
    blocks::{Block, pack, push_line, push_paragraph},
    count_tokens,
};
use crate::rag::loaders::{Heading, Loaded};

/// How deep blocks are looked for within blocks; what is deeper is cut between lines.
const NESTING_MAX: usize = 32;

pub(super) fn split(loaded: &Loaded, size: Size) -> Vec<Range<usize>> {
    let blocks = blocks(loaded, size.tokens);
    let mut sections = Sections {
        blocks: &blocks,
        size,
        chunks: Vec::new(),
    };
    sections.place(0..loaded.text.len(), &loaded.headings, 0);
    sections.chunks
}

/// The chunks made so far, section by section.
struct Sections<'a> {
    blocks: &'a [Block],
    size: Size,
    chunks: Vec<Range<usize>>,
}

impl Sections<'_> {
    /// Makes chunks of a section: of `range`, in which `headings` stand, of which the first `own`
    /// are the section's own.
    fn place(&mut self, range: Range<usize>, headings: &[Heading], own: usize) {
        let blocks = within(self.blocks, &range);
        let tokens: usize = blocks.iter().map(|it| it.tokens).sum();
        let inner = &headings[own.min(headings.len())..];
        let Some(first) = inner.first().filter(|_| tokens > self.size.tokens) else {
            // It fits, or it has no parts.
            self.chunks.extend(pack(blocks, self.size, usize::MAX));
            return;
        };
        let body = within(blocks, &(range.start..first.start));
        // A heading without a text of its own goes along with the first part below it.
        let is_bare = body.len() <= own;
        if !is_bare {
            self.chunks.extend(pack(body, self.size, usize::MAX));
        }
        let mut begin = 0;
        while let Some(heading) = inner.get(begin) {
            let after = inner[begin + 1..].iter();
            let length = 1 + after.take_while(|it| it.level > heading.level).count();
            let end = inner
                .get(begin + length)
                .map_or(range.end, |next| next.start);
            let (start, headings, own) = if begin == 0 && is_bare {
                (range.start, &headings[..own + length], own + 1)
            } else {
                (heading.start, &inner[begin..begin + length], 1)
            };
            self.place(start..end, headings, own);
            begin += length;
        }
    }
}

/// The blocks that begin in a range.
fn within<'a>(blocks: &'a [Block], range: &Range<usize>) -> &'a [Block] {
    let first = blocks.partition_point(|it| it.range.start < range.start);
    let last = blocks.partition_point(|it| it.range.start < range.end);
    &blocks[first..last.max(first)]
}

/// A block of Markdown and those within it.
#[derive(Debug)]
struct Node {
    range: Range<usize>,
    is_paragraph: bool,
    children: Vec<Self>,
}

/// All of the text in blocks that fit a chunk; none of them goes over a heading.
fn blocks(loaded: &Loaded, tokens_max: usize) -> Vec<Block> {
    let text = loaded.text.as_str();
    let mut cutter = Cutter {
        text,
        headings: &loaded.headings,
        tokens_max,
        found: Vec::new(),
    };
    cutter.all(&nodes(text), 0..text.len());
    cutter.found
}

/// The blocks of a text as its Markdown says.
fn nodes(text: &str) -> Vec<Node> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let (mut done, mut open): (Vec<Node>, Vec<Node>) = (Vec::new(), Vec::new());
    // Below a leaf: the depth of what is left out.
    let mut left_out = 0_usize;
    let mut close = |open: &mut Vec<Node>, node: Node| match open.last_mut() {
        Some(outer) => outer.children.push(node),
        None => done.push(node),
    };
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        match event {
            Event::Start(_) if left_out > 0 => left_out += 1,
            Event::End(_) if left_out > 0 => {
                left_out -= 1;
            }
            Event::Start(tag) if is_block(&tag) => {
                let node = Node {
                    range,
                    is_paragraph: matches!(tag, Tag::Paragraph),
                    children: Vec::new(),
                };
                if has_blocks(&tag) && open.len() < NESTING_MAX {
                    open.push(node);
                } else {
                    close(&mut open, node);
                    left_out = 1;
                }
            }
            // Text that is a list item by itself, without a paragraph around it.
            Event::Start(_) => left_out = 1,
            Event::End(
                TagEnd::BlockQuote(_) | TagEnd::List(_) | TagEnd::Item | TagEnd::FootnoteDefinition,
            ) => {
                if let Some(node) = open.pop() {
                    close(&mut open, node);
                }
            }
            Event::Rule if left_out == 0 => {
                let node = Node {
                    range,
                    is_paragraph: false,
                    children: Vec::new(),
                };
                close(&mut open, node);
            }
            _ => {}
        }
    }
    while let Some(node) = open.pop() {
        match open.last_mut() {
            Some(outer) => outer.children.push(node),
            None => done.push(node),
        }
    }
    done
}

fn is_block(tag: &Tag<'_>) -> bool {
    has_blocks(tag)
        || matches!(
            tag,
            Tag::Paragraph
                | Tag::Heading { .. }
                | Tag::CodeBlock(_)
                | Tag::HtmlBlock
                | Tag::Table(_)
                | Tag::MetadataBlock(_)
        )
}

fn has_blocks(tag: &Tag<'_>) -> bool {
    matches!(
        tag,
        Tag::BlockQuote(_) | Tag::List(_) | Tag::Item | Tag::FootnoteDefinition(_)
    )
}

struct Cutter<'a> {
    text: &'a str,
    headings: &'a [Heading],
    tokens_max: usize,
    found: Vec<Block>,
}

impl Cutter<'_> {
    /// Takes a range with the nodes in it; text that belongs to no node is taken as well.
    fn all(&mut self, nodes: &[Node], range: Range<usize>) {
        let mut start = range.start;
        for node in nodes {
            // Nodes are in order, but one that begins where another ends may share a line end.
            let begin = node.range.start.clamp(start, range.end);
            let end = node.range.end.clamp(begin, range.end);
            self.gap(start..begin);
            self.node(node, begin..end);
            start = end;
        }
        self.gap(start..range.end);
    }

    fn node(&mut self, node: &Node, range: Range<usize>) {
        let parts = self.between_headings(range.clone());
        if let [_, _, ..] = parts[..] {
            for part in parts {
                self.lines(part);
            }
            return;
        }
        let tokens = count_tokens(&self.text[range.clone()]);
        if tokens <= self.tokens_max {
            self.whole(range, tokens);
        } else if !node.children.is_empty() {
            self.all(&node.children, range);
        } else if node.is_paragraph {
            push_paragraph(&mut self.found, self.text, range, self.tokens_max, false);
        } else {
            self.lines(range);
        }
    }

    /// What stands between two nodes, such as marks of a list and definitions of links.
    fn gap(&mut self, range: Range<usize>) {
        for part in self.between_headings(range) {
            self.lines(part);
        }
    }

    /// A range in one piece if it fits, else cut between lines, and between words of long ones.
    fn lines(&mut self, range: Range<usize>) {
        let tokens = count_tokens(&self.text[range.clone()]);
        if tokens <= self.tokens_max {
            return self.whole(range, tokens);
        }
        let mut start = range.start;
        let (mut begin, mut filled) = (start, 0);
        for line in self.text[range].split_inclusive('\n') {
            let tokens = count_tokens(line);
            if filled + tokens > self.tokens_max {
                self.whole(begin..start, filled);
                (begin, filled) = (start, 0);
            }
            let end = start + line.len();
            if tokens > self.tokens_max {
                push_line(&mut self.found, self.text, start..end, self.tokens_max);
                begin = end;
            } else {
                filled += tokens;
            }
            start = end;
        }
        self.whole(begin..start, filled);
    }

    fn whole(&mut self, range: Range<usize>, tokens: usize) {
        if !self.text[range.clone()].trim().is_empty() {
            self.found.push(Block {
                range,
                tokens,
                begins_section: false,
            });
        }
    }

    /// A range cut where headings begin in it.
    fn between_headings(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let first = self.headings.partition_point(|it| it.start <= range.start);
        let starts = self.headings[first..].iter().map(|it| it.start);
        let mut parts = Vec::new();
        let mut begin = range.start;
        for start in starts.take_while(|it| *it < range.end) {
            parts.push(begin..start);
            begin = start;
        }
        parts.push(begin..range.end);
        parts
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::rag::{
        chunking::{Chunker, Piece},
        loaders::Loader,
    };

    fn chunks(text: &str, tokens: usize, overlap: usize) -> Vec<Piece> {
        let loaded = Loader::find("a.md").unwrap().load(text.to_owned());
        let chunker = Chunker::find("markdown").unwrap();
        let found = chunker.split(&loaded, Size { tokens, overlap });
        check(text, &found, tokens);
        found
    }

    /// What holds for every text: chunks fit, lie where they say, and together lose nothing.
    fn check(text: &str, found: &[Piece], tokens: usize) {
        let characters: Vec<char> = text.chars().collect();
        let mut covered = vec![false; characters.len()];
        for piece in found {
            let there: String = characters[piece.start..piece.end].iter().collect();
            assert_eq!(there, piece.text);
            assert!(!piece.text.trim().is_empty());
            let counted = count_tokens(&piece.text);
            assert!(
                counted <= tokens.max(1_024),
                "{counted} tokens: {}",
                piece.text
            );
            covered[piece.start..piece.end].fill(true);
        }
        for (character, covered) in characters.iter().zip(covered) {
            assert!(
                covered || character.is_whitespace(),
                "{character:?} is lost of {text:?}"
            );
        }
    }

    fn texts(found: &[Piece]) -> Vec<&str> {
        found.iter().map(|piece| piece.text.as_str()).collect()
    }

    #[test]
    fn a_section_is_a_chunk_and_knows_the_headings_above() {
        let text = "# Guide\n\nIntro words here.\n\n## Install\n\nRun the command.\n\n### Linux\n\n\
                    Use the package.\n\n## Use\n\nCall the function often.\n";
        let found = chunks(text, 15, 0);
        assert_eq!(
            texts(&found),
            [
                "# Guide\n\nIntro words here.",
                "## Install\n\nRun the command.\n\n### Linux\n\nUse the package.",
                "## Use\n\nCall the function often.",
            ]
        );
        assert_eq!(found[1].headings, ["Guide", "Install"]);
        let found = chunks(text, 9, 0);
        assert_eq!(found.len(), 4);
        assert_eq!(found[2].text, "### Linux\n\nUse the package.");
        assert_eq!(found[2].headings, ["Guide", "Install", "Linux"]);
        assert_eq!(chunks(text, 1_000, 0).len(), 1);
    }

    #[test]
    fn a_heading_without_a_text_of_its_own_goes_along_with_the_next() {
        let found = chunks(
            "# Top\n\n## One\n\na b c d e\n\n## Two\n\nf g h i j\n",
            10,
            0,
        );
        assert_eq!(
            texts(&found),
            ["# Top\n\n## One\n\na b c d e", "## Two\n\nf g h i j"]
        );
    }

    #[test]
    fn code_and_tables_are_not_cut_where_they_fit() {
        let code = "```sh\n# no heading\n\necho one\n\necho two\n```";
        let table = "| a | b |\n| - | - |\n| 1 | 2 |\n| 3 | 4 |";
        let words = "word ".repeat(12);
        let text = format!("# T\n\n{words}\n\n{code}\n\n{words}\n\n{table}\n\n{words}\n");
        let found = chunks(&text, 30, 0);
        assert!(found.len() > 2);
        for whole in [code, table] {
            assert!(found.iter().any(|it| it.text.contains(whole)), "{found:#?}");
        }
        assert!(found.iter().all(|it| it.headings == ["T"]));
        // One that does not fit is cut between its lines.
        let rows: String = (0..40).fold(String::new(), |mut rows, row| {
            writeln!(rows, "| {row} | x |").unwrap();
            rows
        });
        let found = chunks(&format!("| a | b |\n| - | - |\n{rows}"), 30, 0);
        assert!(found.len() > 3);
        assert!(
            found
                .iter()
                .all(|it| it.text.starts_with('|') && it.text.ends_with('|'))
        );
    }

    #[test]
    fn long_lists_are_cut_between_items_and_code_in_them_is_not() {
        let mut text = String::new();
        for item in 0..10 {
            write!(
                text,
                "- item {item} says\n\n  ```\n  code {item}\n\n  more\n  ```\n\n"
            )
            .unwrap();
        }
        let found = chunks(&text, 40, 0);
        assert!(found.len() > 2);
        for item in 0..10 {
            let code = format!("```\n  code {item}\n\n  more\n  ```");
            assert!(found.iter().any(|it| it.text.contains(&code)), "{found:#?}");
        }
        assert!(
            found.iter().all(|it| it.text.trim_start().starts_with('-')),
            "{found:#?}"
        );
    }

    #[test]
    fn parts_of_a_long_section_overlap_and_sections_do_not() {
        let paragraphs: Vec<String> = (0..12).map(|it| format!("p{it} a b c d")).collect();
        let text = format!("# One\n\n{}\n\n# Two\n\nq r s\n", paragraphs.join("\n\n"));
        let found = chunks(&text, 20, 6);
        assert!(found[1].text.starts_with("p2"), "{found:#?}");
        assert!(found[0].end > found[1].start, "they share a paragraph");
        assert_eq!(found.last().unwrap().text, "# Two\n\nq r s");
    }

    #[test]
    fn nothing_is_lost_of_any_text() {
        let pieces = [
            "# H\n",
            "## H2\n",
            "Under\n===\n",
            "a b c ",
            "\n",
            "\n\n",
            "- x\n",
            "  - y\n",
            "1. z\n",
            "> quote\n",
            "> # in\n",
            "```\n",
            "~~~py\n",
            "    code\n",
            "| a | b |\n| - | - |\n| 1 | 2 |\n",
            "[l]: http://x.y\n",
            "<div>\n\nhi\n</div>\n",
            "***\n",
            "é日本 ",
            "\\# no\n",
            "---\nk: v\n---\n",
            "[^n]: note\n",
            "`c` ",
            "<!-- c -->\n",
            "\t",
            "\r\n",
            "&amp; ",
            "#no\n",
            "word ",
        ];
        let mut state = 7_u64;
        let mut below = |end: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % end
        };
        for _ in 0..1_500 {
            let parts = 1 + below(40);
            let text: String = (0..parts).map(|_| pieces[below(pieces.len())]).collect();
            let (tokens, overlap) = (4 + below(30), below(4));
            chunks(&text, tokens, overlap);
        }
        chunks("", 10, 2);
        chunks(&"> ".repeat(5_000), 10, 2);
        chunks(&format!("{}x", "- ".repeat(2_000)), 10, 2);
    }
}
