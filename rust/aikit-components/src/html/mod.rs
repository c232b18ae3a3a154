//! Pages in HTML: what they are called, what they say, and where they lead.
//!
//! A page is parsed once, as browsers parse it, so broken markup is repaired and not refused. What
//! nests too deeply is flattened first, and nothing here recurses: no page ends the process.

mod charset;
mod flatten;
mod render;

use std::collections::{BTreeMap, HashSet};

use aikit_core::{Error, Result};
use scraper::{ElementRef, Html, Selector};
use serde::Serialize;
use url::Url;

pub use self::charset::decode;
use self::render::Keep;

/// Longest CSS selector, in bytes.
const SELECTOR_BYTES_MAX: usize = 1000;

/// Most links and most headings that are listed.
const LISTED_MAX: usize = 2000;

/// Longest value of one piece of metadata, in characters.
const METADATA_CHARACTERS_MAX: usize = 2000;

/// A parsed page.
#[derive(Debug)]
pub struct Page {
    document: Html,
    base: Option<Url>,
}

/// A link of a page.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Link {
    /// What the reader sees of it.
    pub text: String,
    /// Where it leads: absolute where the page's own address is known.
    pub url: String,
}

/// A heading of a page.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Heading {
    /// 1 for the largest, to 6.
    pub level: u8,
    /// Its text.
    pub text: String,
    /// What a link to it ends with, after `#`; `None` where the page gives none.
    pub id: Option<String>,
}

/// Parts of a page that are read together, in the order of the page.
#[derive(Debug)]
pub struct Content<'a> {
    page: &'a Page,
    parts: Vec<ElementRef<'a>>,
    keep: Keep,
}

impl Page {
    /// Parses a page; `address` is where it came from, and relative links start there unless the
    /// page names another base. What nests deeper than a browser would allow is flattened.
    pub fn parse(html: &str, address: Option<&Url>) -> Self {
        let flat = flatten::flatten(html);
        let document = Html::parse_document(&flat);
        let base = base(&document, address);
        Self { document, base }
    }

    /// The title: that of the head, else the first large heading.
    pub fn title(&self) -> Option<String> {
        let titles = ["head > title", "meta[property='og:title']", "h1"];
        titles.iter().find_map(|css| {
            let element = self.first(css)?;
            let text = match element.attr("content") {
                Some(content) => one_line(content),
                None => one_line(&element.text().collect::<String>()),
            };
            (!text.is_empty()).then_some(text)
        })
    }

    /// What the page says about itself, by name in lower case: `description`, `author`,
    /// `language`, `canonical`, `og:type` and others of its `meta` elements. The first of a name
    /// counts.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut add = |name: &str, value: &str| {
            let value: String = one_line(value)
                .chars()
                .take(METADATA_CHARACTERS_MAX)
                .collect();
            if !value.is_empty() && found.len() < LISTED_MAX {
                found.entry(name.to_lowercase()).or_insert(value);
            }
        };
        if let Some(language) = self.first("html[lang]").and_then(|it| it.attr("lang")) {
            add("language", language);
        }
        if let Some(link) = self.first("link[rel='canonical'][href]")
            && let Some(url) = self.resolve(link.attr("href").unwrap_or_default())
        {
            add("canonical", &url);
        }
        for element in self.all("meta[content]") {
            let name = element.attr("name").or_else(|| element.attr("property"));
            // What is told to the browser or the phone, not to the reader.
            let is_told = name.filter(|it| !matches!(*it, "viewport" | "theme-color"));
            if let Some(name) = is_told {
                add(name, element.attr("content").unwrap_or_default());
            }
        }
        let alike = ["og:description", "twitter:description"];
        let same = alike.iter().find_map(|it| found.get(*it)).cloned();
        if let Some(description) = same {
            found.entry("description".to_owned()).or_insert(description);
        }
        found
    }

    /// What the page is about: its `main` element or its only article, else its body without
    /// navigation, header, footer and asides.
    pub fn main(&self) -> Content<'_> {
        for css in ["main", "[role='main']", "article"] {
            let mut parts = self.all(css).filter(|it| !is_inside(*it, css));
            let (first, second) = (parts.next(), parts.next());
            // Several articles are a list of them: then the body says more than the first.
            if let (Some(part), None) = (first, second) {
                let content = self.content(vec![part], Keep::Article);
                if !content.to_text().is_empty() {
                    return content;
                }
            }
        }
        let content = self.content(self.body(), Keep::Main);
        if content.to_text().is_empty() {
            return self.whole();
        }
        content
    }

    /// Everything a reader sees.
    pub fn whole(&self) -> Content<'_> {
        self.content(self.body(), Keep::All)
    }

    /// The elements that a CSS selector finds; one inside another is not repeated.
    ///
    /// # Errors
    ///
    /// `invalid_args` for what is not a selector.
    pub fn select(&self, css: &str) -> Result<Content<'_>> {
        let wrong = |why: String| {
            Error::invalid_args(format!("`selector` is not a CSS selector: {why}"))
                .with_hint("write selectors such as `article p`, `#content` or `a[href]`")
        };
        if css.len() > SELECTOR_BYTES_MAX {
            return Err(wrong(format!(
                "it has more than {SELECTOR_BYTES_MAX} bytes"
            )));
        }
        let selector = Selector::parse(css).map_err(|error| wrong(error.to_string()))?;
        let mut taken = HashSet::new();
        let mut parts = Vec::new();
        for element in self.document.select(&selector) {
            // The tree is walked from above, so what holds an element was taken before it.
            let is_repeated = element.ancestors().any(|it| taken.contains(&it.id()));
            if !is_repeated {
                taken.insert(element.id());
                parts.push(element);
            }
        }
        Ok(self.content(parts, Keep::All))
    }

    fn content<'a>(&'a self, parts: Vec<ElementRef<'a>>, keep: Keep) -> Content<'a> {
        let page = self;
        Content { page, parts, keep }
    }

    fn body(&self) -> Vec<ElementRef<'_>> {
        let body = self.first("body").or_else(|| self.first("html"));
        body.into_iter().collect()
    }

    fn first(&self, css: &str) -> Option<ElementRef<'_>> {
        self.all(css).next()
    }

    fn all(&self, css: &str) -> impl Iterator<Item = ElementRef<'_>> {
        let selector = Selector::parse(css).ok();
        let found = selector.map(|it| self.document.select(&it).collect::<Vec<_>>());
        found.unwrap_or_default().into_iter()
    }

    /// Where a link of this page leads; `None` for one that runs code or holds its content.
    fn resolve(&self, link: &str) -> Option<String> {
        let link = link.trim();
        let resolved = match &self.base {
            Some(base) => base.join(link).ok(),
            None => Url::parse(link).ok(),
        };
        match resolved {
            Some(url) if matches!(url.scheme(), "javascript" | "vbscript" | "data") => None,
            Some(url) => Some(url.into()),
            None => (!link.is_empty()).then(|| link.to_owned()),
        }
    }
}

impl Content<'_> {
    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// As Markdown, headings with `#`, links absolute where the address is known.
    pub fn to_markdown(&self) -> String {
        render::markdown(&self.to_html())
    }

    /// As plain text: a line a block, white space as a reader sees it.
    pub fn to_text(&self) -> String {
        render::text(&self.parts, self.keep)
    }

    /// As clean HTML: without scripts, styles and attributes other than links, sources, ids and
    /// descriptions.
    pub fn to_html(&self) -> String {
        let resolve = |link: &str| self.page.resolve(link);
        render::html(&self.parts, self.keep, &resolve)
    }

    /// Its links, each address once.
    pub fn links(&self) -> Vec<Link> {
        let mut seen = HashSet::new();
        let links = self.elements().filter_map(|element| {
            let (name, href) = (element.value().name(), element.attr("href")?);
            let url = self.page.resolve(href).filter(|_| name == "a")?;
            let text = one_line(&render::text(&[element], self.keep));
            seen.insert(url.clone()).then_some(Link { text, url })
        });
        links.take(LISTED_MAX).collect()
    }

    /// Its headings, in the order of the page.
    pub fn headings(&self) -> Vec<Heading> {
        let headings = self.elements().filter_map(|element| {
            let level = match element.value().name().as_bytes() {
                [b'h', digit @ b'1'..=b'6'] => digit - b'0',
                _ => return None,
            };
            let text = one_line(&render::text(&[element], self.keep));
            let id = element.attr("id").map(str::to_owned);
            (!text.is_empty()).then_some(Heading { level, text, id })
        });
        headings.take(LISTED_MAX).collect()
    }

    /// The elements that are kept.
    fn elements(&self) -> impl Iterator<Item = ElementRef<'_>> {
        self.parts
            .iter()
            .flat_map(|part| render::elements(*part, self.keep))
    }
}

fn base(document: &Html, address: Option<&Url>) -> Option<Url> {
    let selector = Selector::parse("head > base[href]").ok()?;
    let named = document.select(&selector).next();
    let named = named.and_then(|it| it.attr("href")).map(str::trim);
    match (named, address) {
        (Some(named), Some(address)) => Some(address.join(named).unwrap_or(address.clone())),
        (Some(named), None) => Url::parse(named).ok(),
        (None, address) => address.cloned(),
    }
}

/// Whether an element of the same kind holds this one.
fn is_inside(element: ElementRef<'_>, css: &str) -> bool {
    let name = element.value().name();
    let mut above = element.ancestors().filter_map(ElementRef::wrap);
    above.any(|it| it.value().name() == name && css == name)
}

/// A text with each run of white space as one space.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
