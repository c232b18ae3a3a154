//! Takes the tags out of a page that nest deeper than browsers allow, before it is parsed.
//!
//! A parser looks through all open elements at each tag: a megabyte of `<div>` would keep it busy
//! for minutes. The page is read here as a parser reads it, but for what closes by itself.

use std::borrow::Cow;

/// Elements that may stand within one another; Chromium stops there as well.
const DEPTH_MAX: usize = 512;

/// Attributes one tag may have; a parser compares each with all before it.
const ATTRIBUTES_MAX: usize = 1000;

/// Elements that hold nothing.
const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr",
];

/// Elements whose end may be left out: the next of their kind closes them.
const CLOSING_THEMSELVES: [&str; 19] = [
    "body", "caption", "colgroup", "dd", "dt", "head", "html", "li", "optgroup", "option", "p",
    "rb", "rp", "rt", "tbody", "td", "tfoot", "th", "tr",
];

/// Elements whose content is text alone.
const RAW: [&str; 9] = [
    "iframe", "noembed", "noframes", "noscript", "script", "style", "textarea", "title", "xmp",
];

/// Elements of pictures and formulas, in which `/>` ends an element.
const FOREIGN: [&str; 2] = ["math", "svg"];

/// The page with what is too deep left out; the text stays.
pub(super) fn flatten(html: &str) -> Cow<'_, str> {
    let mut out: Option<String> = None;
    let mut scan = Scan::default();
    let mut rest = 0;
    // Where the text begins that is kept and not yet written.
    let mut kept = 0;
    while let Some(tag) = next_tag(html, rest) {
        rest = scan.after(html, &tag);
        if scan.is_too_much(&tag) {
            let out = out.get_or_insert_with(|| String::with_capacity(html.len()));
            out.push_str(&html[kept..tag.start]);
            kept = tag.end;
        }
    }
    match out {
        None => Cow::Borrowed(html),
        Some(mut out) => {
            out.push_str(&html[kept..]);
            Cow::Owned(out)
        }
    }
}

/// A tag in the text.
struct Tag {
    start: usize,
    end: usize,
    name: String,
    is_end: bool,
    is_self_closing: bool,
    attributes: usize,
}

#[derive(Default)]
struct Scan {
    depth: usize,
    foreign: usize,
    is_too_deep: bool,
}

impl Scan {
    /// Counts a tag; answers where the text after it, or after its raw content, begins.
    fn after(&mut self, html: &str, tag: &Tag) -> usize {
        let name = tag.name.as_str();
        let is_foreign = FOREIGN.contains(&name);
        self.is_too_deep = false;
        if VOID.contains(&name) || CLOSING_THEMSELVES.contains(&name) {
            return tag.end;
        }
        if tag.is_end {
            self.is_too_deep = self.depth > DEPTH_MAX;
            self.depth = self.depth.saturating_sub(1);
            self.foreign -= usize::from(is_foreign && self.foreign > 0);
            return tag.end;
        }
        if RAW.contains(&name) && self.foreign == 0 {
            return end_of_raw(html, tag.end, name);
        }
        // An element of HTML ends a picture that it stands in.
        let ends_foreign = matches!(
            name,
            "div" | "span" | "b" | "i" | "u" | "s" | "em" | "strong"
        ) || matches!(
            name,
            "blockquote" | "center" | "code" | "dl" | "font" | "big" | "small"
        ) || matches!(
            name,
            "menu" | "nobr" | "ol" | "pre" | "ruby" | "strike" | "sub" | "sup"
        ) || matches!(name, "table" | "tt" | "ul" | "var" | "listing")
            || matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6");
        if ends_foreign {
            self.foreign = 0;
        }
        if self.foreign > 0 && tag.is_self_closing {
            return tag.end;
        }
        self.foreign += usize::from(is_foreign);
        self.depth += 1;
        self.is_too_deep = self.depth > DEPTH_MAX;
        tag.end
    }

    const fn is_too_much(&self, tag: &Tag) -> bool {
        self.is_too_deep || tag.attributes > ATTRIBUTES_MAX
    }
}

/// The next tag from `from`; comments and declarations are passed over.
fn next_tag(html: &str, mut from: usize) -> Option<Tag> {
    loop {
        let start = from + html[from..].find('<')?;
        let rest = &html[start + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            let end = comment.find("-->").map_or(comment.len(), |it| it + 3);
            from = start + 4 + end;
            continue;
        }
        let is_end = rest.starts_with('/');
        let name_start = start + 1 + usize::from(is_end);
        let name = &html[name_start..];
        if !name.starts_with(|it: char| it.is_ascii_alphabetic()) {
            from = start + 1;
            continue;
        }
        let ends = |it: char| it.is_ascii_whitespace() || matches!(it, '/' | '>');
        let length = name.find(ends).unwrap_or(name.len());
        let (attributes, end) = end_of_tag(html, name_start + length);
        return Some(Tag {
            start,
            end,
            name: name[..length].to_ascii_lowercase(),
            is_end,
            is_self_closing: html[..end].ends_with("/>"),
            attributes,
        });
    }
}

/// How many attributes a tag about has, and where it ends.
fn end_of_tag(html: &str, from: usize) -> (usize, usize) {
    let bytes = html.as_bytes();
    let (mut attributes, mut at) = (0, from);
    let mut is_value = false;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'>' => return (attributes, at + 1),
            b'"' | b'\'' if is_value => {
                let quoted = &bytes[at + 1..];
                let length = quoted.iter().position(|it| it == byte);
                at += 1 + length.unwrap_or(quoted.len());
                is_value = false;
            }
            b'=' => is_value = true,
            b'/' => {}
            it if it.is_ascii_whitespace() => {}
            _ => {
                attributes += usize::from(!is_value);
                let ends = |it: &u8| it.is_ascii_whitespace() || matches!(it, b'=' | b'>' | b'/');
                let ends_value = |it: &u8| it.is_ascii_whitespace() || *it == b'>';
                let rest = &bytes[at..];
                let length = if is_value {
                    rest.iter().position(ends_value)
                } else {
                    rest.iter().position(ends)
                };
                at += length.unwrap_or(rest.len());
                is_value = false;
                continue;
            }
        }
        at += 1;
    }
    (attributes, html.len())
}

/// Where the end tag of an element that holds text alone begins.
fn end_of_raw(html: &str, from: usize, name: &str) -> usize {
    let mut at = from;
    while let Some(found) = html[at..].find("</") {
        at += found;
        let rest = &html.as_bytes()[at + 2..];
        let is_it =
            rest.len() >= name.len() && rest[..name.len()].eq_ignore_ascii_case(name.as_bytes());
        if is_it {
            return at;
        }
        at += 2;
    }
    html.len()
}
