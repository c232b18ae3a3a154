//! Writes parts of a page as clean HTML, Markdown and plain text, without recursion.

use htmd::{
    HtmlToMarkdown,
    options::{BulletListMarker, HrStyle, Options},
};
use scraper::{ElementRef, Node};

/// Elements of clean HTML that may stand within one another: the converter to Markdown recurses.
const DEPTH_MAX: usize = 100;

/// What of a part is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Keep {
    /// What a reader sees.
    All,
    /// That, without navigation, asides and footers: an article may have a header of its own.
    Article,
    /// That, without headers too.
    Main,
}

/// Elements nobody reads.
const UNREAD: [&str; 19] = [
    "applet", "audio", "button", "canvas", "embed", "head", "iframe", "input", "link", "meta",
    "noscript", "object", "script", "select", "style", "svg", "template", "textarea", "video",
];

/// Elements that begin on a line of their own.
const BLOCKS: [&str; 36] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "dd",
    "details",
    "dialog",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "tr",
    "ul",
];

/// Attributes that clean HTML keeps.
const ATTRIBUTES: [&str; 9] = [
    "alt", "colspan", "datetime", "id", "lang", "rowspan", "start", "title", "cite",
];

const VOID: [&str; 4] = ["br", "hr", "img", "wbr"];

impl Keep {
    fn drops(self, element: ElementRef<'_>) -> bool {
        let (name, value) = (element.value().name(), element.value());
        if UNREAD.contains(&name)
            || value.attr("hidden").is_some()
            || value.attr("style").is_some_and(is_hiding)
            || (name == "a" && is_mark(element))
        {
            return true;
        }
        if self == Self::All {
            return false;
        }
        let role = value.attr("role").unwrap_or_default();
        let in_article = || {
            let mut above = element.ancestors().filter_map(ElementRef::wrap);
            above.any(|it| matches!(it.value().name(), "article" | "main"))
        };
        match name {
            "nav" | "aside" | "footer" | "dialog" => return true,
            "header" if self == Self::Main && !in_article() => return true,
            _ => {}
        }
        value.attr("aria-hidden") == Some("true")
            || matches!(
                role,
                "navigation" | "contentinfo" | "complementary" | "search"
            )
            || (role == "banner" && self == Self::Main)
    }
}

/// Whether a style hides its element: what nobody sees may have been put there for a model.
fn is_hiding(style: &str) -> bool {
    let style: String = style
        .chars()
        .filter(|it| !it.is_whitespace())
        .map(|it| it.to_ascii_lowercase())
        .collect();
    ["display:none", "visibility:hidden"]
        .iter()
        .any(|it| style.contains(it))
}

/// Whether a link only marks the place where it stands, as documentation has beside headings.
fn is_mark(element: ElementRef<'_>) -> bool {
    let is_local = element.attr("href").is_some_and(|it| it.starts_with('#'));
    if !is_local {
        return false;
    }
    let text: String = element.text().take(4).collect();
    matches!(text.trim(), "" | "¶" | "#" | "§" | "🔗") && element.value().attr("id").is_none()
}

/// A step of the way through a part.
enum Step<'a> {
    Open(ElementRef<'a>),
    Text(&'a str),
    Close(ElementRef<'a>),
}

/// Goes through a part in the order of the page, around what is not kept.
fn walk<'a>(part: ElementRef<'a>, keep: Keep, visit: &mut dyn FnMut(Step<'a>)) {
    let root = part.id();
    let mut node = *part;
    loop {
        let opened = match node.value() {
            Node::Text(text) => {
                visit(Step::Text(text));
                None
            }
            // What was asked for is kept, whatever it is.
            _ => ElementRef::wrap(node).filter(|it| it.id() == root || !keep.drops(*it)),
        };
        if let Some(element) = opened {
            visit(Step::Open(element));
            if let Some(child) = node.first_child() {
                node = child;
                continue;
            }
            visit(Step::Close(element));
        }
        while node.id() != root && node.next_sibling().is_none() {
            let Some(parent) = node.parent() else { return };
            node = parent;
            if let Some(element) = ElementRef::wrap(node) {
                visit(Step::Close(element));
            }
        }
        if node.id() == root {
            return;
        }
        let Some(next) = node.next_sibling() else {
            return;
        };
        node = next;
    }
}

/// The elements of a part that are kept, itself included.
pub(super) fn elements(part: ElementRef<'_>, keep: Keep) -> Vec<ElementRef<'_>> {
    let mut found = Vec::new();
    walk(part, keep, &mut |step| {
        if let Step::Open(element) = step {
            found.push(element);
        }
    });
    found
}

/// Clean HTML; `resolve` says where a link leads.
pub(super) fn html(
    parts: &[ElementRef<'_>],
    keep: Keep,
    resolve: &dyn Fn(&str) -> Option<String>,
) -> String {
    let mut out = String::new();
    for part in parts {
        let mut depth = 0_usize;
        walk(*part, keep, &mut |step| match step {
            Step::Text(text) => escape(&mut out, text),
            Step::Open(element) => {
                depth += 1;
                if depth <= DEPTH_MAX {
                    open(&mut out, element, resolve);
                }
            }
            Step::Close(element) => {
                let name = element.value().name();
                if depth <= DEPTH_MAX && is_plain(name) && !VOID.contains(&name) {
                    out.push_str("</");
                    out.push_str(name);
                    out.push('>');
                }
                depth = depth.saturating_sub(1);
            }
        });
        out.push('\n');
    }
    out.trim().to_owned()
}

fn open(out: &mut String, element: ElementRef<'_>, resolve: &dyn Fn(&str) -> Option<String>) {
    let name = element.value().name();
    if !is_plain(name) {
        return;
    }
    out.push('<');
    out.push_str(name);
    for (attribute, value) in element.value().attrs() {
        // The language of code stands in its class.
        let is_kept = ATTRIBUTES.contains(&attribute)
            || (attribute == "class" && matches!(name, "code" | "pre"));
        let link = matches!(attribute, "href" | "src").then(|| resolve(value));
        let value = match link {
            Some(link) => link,
            None => is_kept.then(|| value.to_owned()),
        };
        if let Some(value) = value {
            out.push(' ');
            out.push_str(attribute);
            out.push_str("=\"");
            escape(out, &value);
            out.push('"');
        }
    }
    out.push('>');
}

/// Whether a name of an element or an attribute means the same wherever it is written.
fn is_plain(name: &str) -> bool {
    name.starts_with(|it: char| it.is_ascii_alphabetic())
        && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '-')
        // What follows these would be read as text.
        && !matches!(name, "plaintext" | "xmp" | "listing" | "noembed" | "noframes" | "title")
}

fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\0' => {}
            other => out.push(other),
        }
    }
}

/// Clean HTML as Markdown.
pub(super) fn markdown(clean: &str) -> String {
    let options = Options {
        bullet_list_marker: BulletListMarker::Dash,
        hr_style: HrStyle::Dashes,
        ol_number_spacing: 1,
        ul_bullet_spacing: 1,
        ..Options::default()
    };
    let converter = HtmlToMarkdown::builder().options(options).build();
    // Reading from memory does not fail; should it, the page has no Markdown.
    let text = converter.convert(clean).unwrap_or_default();
    text.trim().to_owned()
}

/// Plain text: one line for each block, none of them empty but for those of preformatted text.
pub(super) fn text(parts: &[ElementRef<'_>], keep: Keep) -> String {
    let mut lines = Lines::default();
    for part in parts {
        lines.end();
        walk(*part, keep, &mut |step| match step {
            Step::Text(text) if lines.preformatted > 0 => lines.text.push_str(text),
            Step::Text(text) => lines.add(text),
            Step::Open(element) => lines.open(element.value().name()),
            Step::Close(element) => lines.close(element.value().name()),
        });
    }
    lines.text.trim_matches('\n').trim_end().to_owned()
}

#[derive(Default)]
struct Lines {
    text: String,
    preformatted: usize,
}

impl Lines {
    fn open(&mut self, name: &str) {
        if BLOCKS.contains(&name) || name == "br" {
            self.end();
        }
        self.preformatted += usize::from(name == "pre");
    }

    fn close(&mut self, name: &str) {
        self.preformatted -= usize::from(name == "pre" && self.preformatted > 0);
        if BLOCKS.contains(&name) {
            self.end();
        }
        if matches!(name, "td" | "th") && !self.is_at_start() {
            self.text.push('\t');
        }
    }

    /// Adds text with each run of white space as one space.
    fn add(&mut self, text: &str) {
        for (index, word) in text.split_whitespace().enumerate() {
            let is_apart = index > 0 || text.starts_with(char::is_whitespace);
            if is_apart && !self.is_at_start() && !self.text.ends_with([' ', '\t']) {
                self.text.push(' ');
            }
            self.text.push_str(word);
        }
        if text.ends_with(char::is_whitespace)
            && !self.is_at_start()
            && !self.text.ends_with([' ', '\t'])
        {
            self.text.push(' ');
        }
    }

    fn is_at_start(&self) -> bool {
        self.text.is_empty() || self.text.ends_with('\n')
    }

    fn end(&mut self) {
        if self.preformatted > 0 {
            return;
        }
        let length = self.text.trim_end_matches([' ', '\t']).len();
        self.text.truncate(length);
        if !self.is_at_start() {
            self.text.push('\n');
        }
    }
}
