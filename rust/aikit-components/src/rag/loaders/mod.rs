//! Loaders turn the bytes of a source into text with a title and headings.
//!
//! A loader is one row of [`LOADERS`] and one file.

mod html;
mod markdown;
mod rst;
mod text;

use std::borrow::Cow;

use aikit_core::{Error, Result};
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};

use crate::nearest;

/// A row of [`LOADERS`].
#[derive(Clone, Copy, Debug)]
pub struct Loader {
    /// Name of the format.
    pub name: &'static str,
    /// How the names of its files end.
    pub extensions: &'static [&'static str],
    /// What servers call it.
    media_types: &'static [&'static str],
    decode: fn(&[u8], Option<&str>) -> Option<String>,
    load: fn(String) -> Loaded,
}

/// Every loader. A file goes to the one with the longest ending that fits.
pub const LOADERS: &[Loader] = &[
    Loader {
        name: "text",
        extensions: &["txt", "text", "log"],
        media_types: &["text/plain"],
        decode: text,
        load: |text| with_headings(text, text::headings),
    },
    Loader {
        name: "markdown",
        extensions: &["md", "markdown", "mdown", "md.txt"],
        media_types: &["text/markdown", "text/x-markdown"],
        decode: text,
        load: |text| with_headings(text, markdown::headings),
    },
    Loader {
        name: "html",
        extensions: &["html", "htm", "xhtml"],
        media_types: &["text/html", "application/xhtml+xml"],
        decode: html::decode,
        load: html::load,
    },
    Loader {
        name: "rst",
        extensions: &["rst", "rest", "rst.txt"],
        media_types: &["text/x-rst", "text/prs.fallenstein.rst"],
        decode: text,
        load: |text| with_headings(text, rst::headings),
    },
];

/// A heading within a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Heading {
    /// 1 for the outermost.
    pub(super) level: usize,
    /// What it says, without markup of its own line.
    pub(super) title: String,
    /// Byte where its lines begin.
    pub(super) start: usize,
}

/// A source as text.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) title: Option<String>,
    pub(super) text: String,
    pub(super) headings: Vec<Heading>,
}

impl Loader {
    /// Finds the loader for a file by the end of its name.
    pub(super) fn find(path: &str) -> Option<&'static Self> {
        let path = path.to_ascii_lowercase();
        let fits = |loader: &'static Self| {
            let endings = loader.extensions.iter().copied();
            let fitting = endings.filter(|ending| {
                path.strip_suffix(ending)
                    .is_some_and(|rest| rest.ends_with('.'))
            });
            Some((fitting.map(str::len).max()?, loader))
        };
        let best = LOADERS
            .iter()
            .filter_map(fits)
            .max_by_key(|(length, _)| *length);
        best.map(|(_, loader)| loader)
    }

    /// Finds a loader by its name.
    ///
    /// # Errors
    ///
    /// `not_found` for an unknown name.
    pub(super) fn named(name: &str) -> Result<&'static Self> {
        LOADERS.iter().find(|it| it.name == name).ok_or_else(|| {
            let names: Vec<&str> = LOADERS.iter().map(|it| it.name).collect();
            let all = format!("use one of {}", names.join(", "));
            let hint = nearest::hint(name, names, all);
            Error::not_found(format!("no loader named `{name}`")).with_hint(hint)
        })
    }

    /// The loader for what no other one knows.
    pub(super) fn plain() -> &'static Self {
        &LOADERS[0]
    }

    /// Finds the loader for an answer of a server: by what it is called there, else by the end of
    /// its address; plain text for text of other kinds.
    pub(super) fn of_media_type(content_type: &str, path: &str) -> Option<&'static Self> {
        let name = content_type.split(';').next().unwrap_or_default();
        let name = name.trim().to_ascii_lowercase();
        let named = || LOADERS.iter().find(|it| it.media_types.contains(&&*name));
        let by_path = || Self::find(path);
        if name.is_empty() || name == "text/plain" || name == "application/octet-stream" {
            // What servers say of files they do not know.
            return by_path().or_else(named).or_else(|| Some(Self::plain()));
        }
        let is_text = name.starts_with("text/") || name.ends_with("json") || name.ends_with("xml");
        named()
            .or_else(by_path)
            .or_else(|| is_text.then(Self::plain))
    }

    /// The text in the bytes of a source; `None` for what is no text. `content_type` is what a
    /// server said of it.
    pub(super) fn decode(&self, bytes: &[u8], content_type: Option<&str>) -> Option<String> {
        (self.decode)(bytes, content_type)
    }

    /// Reads text: what is searched of it, its title and its headings.
    pub(super) fn load(&self, text: String) -> Loaded {
        (self.load)(text)
    }
}

fn text(bytes: &[u8], _content_type: Option<&str>) -> Option<String> {
    decode(bytes).map(Cow::into_owned)
}

/// A text as it is. Its title is the first heading.
fn with_headings(text: String, headings: fn(&str) -> Vec<Heading>) -> Loaded {
    let headings = headings(&text);
    let title = headings.first().map(|heading| heading.title.clone());
    Loaded {
        title,
        text,
        headings,
    }
}

/// The text of a file: by its byte order mark, as UTF-8, or as the encoding it looks like.
///
/// `None` for what is no text: bytes that no encoding of text has.
fn decode(bytes: &[u8]) -> Option<Cow<'_, str>> {
    if let Some((encoding, mark)) = encoding_rs::Encoding::for_bom(bytes) {
        let (text, _) = encoding.decode_without_bom_handling(&bytes[mark..]);
        return Some(text);
    }
    if bytes.contains(&0) {
        return None;
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Some(Cow::Borrowed(text));
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    // Not UTF-8 as a whole; a file with some damaged bytes in it still reads best as UTF-8.
    let damaged = String::from_utf8_lossy(bytes);
    let replaced = damaged.matches('\u{fffd}').count();
    let others = damaged.chars().filter(|it| !it.is_ascii()).count() - replaced;
    if others > replaced {
        return Some(damaged);
    }
    let encoding = detector.guess(None, Utf8Detection::Allow);
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    Some(text)
}

/// Lines with the byte where each begins, without their line ends.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |line| {
        let begin = start;
        start += line.len();
        (begin, line.trim_end_matches(['\n', '\r']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_ending_decides() {
        let name = |path: &str| Loader::find(path).map(|loader| loader.name);
        assert_eq!(name("a/b.rst.txt"), Some("rst"));
        assert_eq!(name("a/B.TXT"), Some("text"));
        assert_eq!(name("README.md"), Some("markdown"));
        assert_eq!(name("a.rst/picture.png"), None);
        assert_eq!(name("txt"), None);
    }

    #[test]
    fn what_a_server_says_decides_unless_it_says_nothing() {
        let name = |content_type: &str, path: &str| {
            Loader::of_media_type(content_type, path).map(|loader| loader.name)
        };
        assert_eq!(name("text/html; charset=utf-8", "/a.md"), Some("html"));
        assert_eq!(name("text/plain", "/a.md"), Some("markdown"));
        assert_eq!(name("text/plain", "/a"), Some("text"));
        assert_eq!(name("", "/a.rst"), Some("rst"));
        assert_eq!(name("application/json", "/a"), Some("text"));
        assert_eq!(name("image/png", "/a.png"), None);
    }

    #[test]
    fn texts_of_several_encodings_are_read_and_binary_is_not() {
        assert_eq!(decode("é".as_bytes()).as_deref(), Some("é"));
        assert_eq!(decode(b"\xff\xfea\0b\0").as_deref(), Some("ab"));
        assert_eq!(decode(b"caf\xe9 na\xefve").as_deref(), Some("café naïve"));
        let damaged = ["日本語".as_bytes(), b"\xff"].concat();
        assert_eq!(decode(&damaged).as_deref(), Some("日本語\u{fffd}"));
        assert_eq!(decode(b"\x7fELF\0\0"), None);
        assert_eq!(decode(b"").as_deref(), Some(""));
    }
}
