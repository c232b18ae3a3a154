//! `text`: plain text, which has no headings.

use super::Heading;

pub(super) fn headings(_text: &str) -> Vec<Heading> {
    Vec::new()
}
