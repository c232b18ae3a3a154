//! `rst`: reStructuredText, whose headings have a line under them, some one above as well.

use super::{Heading, lines};

/// Characters that make the line of a heading.
const MARKS: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

pub(super) fn headings(text: &str) -> Vec<Heading> {
    // The order in which the styles occur gives their levels: the format fixes none.
    let mut styles: Vec<(char, bool)> = Vec::new();
    let mut found = Vec::new();
    let all: Vec<(usize, &str)> = lines(text).collect();
    let mut place = 0;
    while place + 1 < all.len() {
        let (start, title) = all[place];
        let above = place.checked_sub(1).map(|before| all[before]);
        let Some(mark) = underline(title, all[place + 1].1) else {
            place += 1;
            continue;
        };
        let over = above.filter(|(_, line)| rule(line) == Some(mark));
        let style = (mark, over.is_some());
        let level = styles
            .iter()
            .position(|it| *it == style)
            .unwrap_or_else(|| {
                styles.push(style);
                styles.len() - 1
            });
        found.push(Heading {
            level: level + 1,
            title: plain(title),
            start: over.map_or(start, |(start, _)| start),
        });
        place += 2;
    }
    found
}

/// The mark of the line below, when it makes a heading of the line above it.
fn underline(title: &str, below: &str) -> Option<char> {
    let mark = rule(below)?;
    let (width, length) = (
        below.trim_end().chars().count(),
        title.trim_end().chars().count(),
    );
    let is_title = !title.trim().is_empty() && rule(title).is_none();
    (is_title && width >= length).then_some(mark)
}

/// The mark of a line that is nothing but one mark, thrice or more.
fn rule(line: &str) -> Option<char> {
    let line = line.trim_end();
    let mark = line.chars().next().filter(|it| MARKS.contains(*it))?;
    (line.len() > 2 && line.chars().all(|it| it == mark)).then_some(mark)
}

/// A title without roles and emphasis: ``:mod:`json` --- codec`` is `json --- codec`.
fn plain(title: &str) -> String {
    let mut text = String::with_capacity(title.len());
    for (place, part) in title.trim().split('`').enumerate() {
        let role = part
            .rfind(|it: char| !(it.is_alphanumeric() || ":+._-".contains(it)))
            .map_or(0, |before| before + 1);
        let tail = &part[role..];
        let is_role =
            place % 2 == 0 && tail.len() > 2 && tail.starts_with(':') && tail.ends_with(':');
        text.push_str(if is_role { &part[..role] } else { part });
    }
    text.replace('*', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_follow_the_order_of_the_styles() {
        let text = "***\nTop\n***\n\nwords\n\nOne\n===\n\n:mod:`json` --- *codec*\n-------------------------\n\nTwo\n===\n\n- list\n\n====  ====\nA     B\n====  ====\n";
        let found: Vec<(usize, String, usize)> = headings(text)
            .into_iter()
            .map(|it| (it.level, it.title, it.start))
            .collect();
        let at = |part: &str| text.find(part).unwrap();
        assert_eq!(
            found,
            [
                (1, "Top".to_owned(), 0),
                (2, "One".to_owned(), at("One")),
                (3, "json --- codec".to_owned(), at(":mod:")),
                (2, "Two".to_owned(), at("Two")),
            ]
        );
    }

    #[test]
    fn a_short_underline_and_a_rule_make_no_heading() {
        assert_eq!(headings("A long line\n---\n\n-----\n\ntext\n"), []);
    }
}
