//! `html`: what a page is about, as Markdown; navigation, headers and footers are left out.
//!
//! Characters are counted in the Markdown: that is the text which is searched and shown.

use super::{Heading, Loaded, markdown};
use crate::html::{self, Page};

pub(super) fn decode(bytes: &[u8], content_type: Option<&str>) -> Option<String> {
    // No page has a zero in it, but for one in UTF-16, which begins with its mark.
    let is_wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let is_text = is_wide || !bytes.contains(&0);
    is_text.then(|| html::decode(bytes, content_type).into_owned())
}

pub(super) fn load(text: String) -> Loaded {
    let page = Page::parse(&text, None);
    drop(text);
    let main = page.main();
    let text = main.to_markdown();
    let mut headings = markdown::headings(&text);
    // As a reader sees them, where both readings have found the same ones.
    let seen = main.headings();
    let is_same =
        |(left, right): (&Heading, &html::Heading)| left.level == usize::from(right.level);
    if headings.len() == seen.len() && headings.iter().zip(&seen).all(is_same) {
        for (heading, seen) in headings.iter_mut().zip(seen) {
            heading.title = seen.text;
        }
    }
    let first = || headings.first().map(|it| it.title.clone());
    Loaded {
        title: page.title().or_else(first),
        text,
        headings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_is_about_is_kept_with_its_headings() {
        let page = "<html><head><title>Owls</title><script>x()</script></head><body>\
            <nav><a href='/'>Home</a></nav><main><h1>All <em>owls</em></h1><p>They hunt.</p>\
            <h2>Barn_owls</h2><ul><li>one<li>two</ul><pre><code># no heading\n</code></pre></main>\
            <footer>Imprint</footer></body></html>";
        let loaded = load(page.to_owned());
        assert_eq!(loaded.title.as_deref(), Some("Owls"));
        for (part, is_there) in [
            ("hunt", true),
            ("two", true),
            ("Home", false),
            ("x()", false),
            ("Imprint", false),
        ] {
            assert_eq!(
                loaded.text.contains(part),
                is_there,
                "{part} in {}",
                loaded.text
            );
        }
        let headings = loaded
            .headings
            .iter()
            .map(|it| (it.level, it.title.as_str()));
        assert_eq!(
            headings.collect::<Vec<_>>(),
            [(1, "All owls"), (2, "Barn_owls")]
        );
        for heading in &loaded.headings {
            assert!(loaded.text[heading.start..].starts_with('#'));
        }
    }

    #[test]
    fn a_page_without_a_title_is_called_by_its_heading_and_an_empty_one_is_empty() {
        assert_eq!(
            load("<h2>One</h2>x".to_owned()).title.as_deref(),
            Some("One")
        );
        let empty = load(String::new());
        assert_eq!((empty.title, empty.text.trim()), (None, ""));
    }

    #[test]
    fn pages_say_how_they_are_encoded() {
        let page = b"<meta charset=iso-8859-1><p>caf\xe9</p>";
        assert!(decode(page, None).unwrap().contains("caf\u{e9}"));
        assert!(
            decode(b"<p>caf\xe9", Some("text/html; charset=latin1"))
                .unwrap()
                .contains("caf\u{e9}")
        );
        assert_eq!(decode(b"\x00\x01", None), None);
    }
}
