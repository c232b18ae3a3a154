//! `markdown`: headings with `#` or underlined, those in code blocks left out.

use super::{Heading, lines};

pub(super) fn headings(text: &str) -> Vec<Heading> {
    let mut found = Vec::new();
    let mut fence: Option<&str> = None;
    let mut previous: Option<(usize, &str)> = None;
    let begin = front_matter(text);
    for (start, line) in lines(text).skip_while(|(start, _)| *start < begin) {
        let bare = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|it| bare.starts_with(it));
        if mark.is_some() && (fence.is_none() || fence == mark) {
            fence = if fence.is_some() { None } else { mark };
            previous = None;
            continue;
        }
        // Four spaces begin a block of code.
        if fence.is_some() || line.len() - bare.len() > 3 {
            previous = None;
            continue;
        }
        if let Some((level, title)) = numbered(bare) {
            found.push(Heading {
                level,
                title: title.to_owned(),
                start,
            });
            previous = None;
            continue;
        }
        if let (Some(level), Some((start, title))) = (underline(bare), previous) {
            found.push(Heading {
                level,
                title: title.to_owned(),
                start,
            });
            previous = None;
            continue;
        }
        previous = (!bare.is_empty()).then_some((start, bare.trim_end()));
    }
    found
}

/// Where the text begins after a block of data between lines of `---`, which is no heading.
fn front_matter(text: &str) -> usize {
    let mut all = lines(text);
    if all.next().is_none_or(|(_, line)| line.trim_end() != "---") {
        return 0;
    }
    let ends = |(_, line): &(usize, &str)| matches!(line.trim_end(), "---" | "...");
    let end = all.find(ends);
    end.map_or(0, |(start, line)| start + line.len())
}

/// `## Title ##`
fn numbered(line: &str) -> Option<(usize, &str)> {
    let title = line.trim_start_matches('#');
    let level = line.len() - title.len();
    if !(1..=6).contains(&level) || !title.starts_with([' ', '\t']) {
        return None;
    }
    let title = title.trim();
    let closed = title.trim_end_matches('#');
    let title = if closed.ends_with(' ') {
        closed.trim_end()
    } else {
        title
    };
    (!title.is_empty()).then_some((level, title))
}

/// The line under a title: `===` for the first level, `---` for the second.
fn underline(line: &str) -> Option<usize> {
    let line = line.trim_end();
    let is_all = |mark| line.len() > 1 && line.chars().all(|it| it == mark);
    match () {
        () if is_all('=') => Some(1),
        () if is_all('-') => Some(2),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_above_a_text_is_no_heading() {
        let titles =
            |text: &str| -> Vec<String> { headings(text).into_iter().map(|it| it.title).collect() };
        assert_eq!(titles("---\ntitle: x\n---\n# One\n"), ["One"]);
        assert_eq!(titles("---\ntitle: x\n...\nTwo\n---\n"), ["Two"]);
        assert_eq!(titles("---\n\nTwo\n---\n"), Vec::<String>::new());
        assert_eq!(titles("text\n\n---\n\nTwo\n---\n"), ["Two"]);
    }

    #[test]
    fn both_kinds_of_headings_are_found_and_code_is_not() {
        let text = "Top\n===\n\n# One #\n```sh\n# not this\n```\n    # nor this\n\nTwo\n---\n#hash\n### C#\n---\n";
        let found: Vec<(usize, String, usize)> = headings(text)
            .into_iter()
            .map(|it| (it.level, it.title, it.start))
            .collect();
        let at = |part: &str| text.find(part).unwrap();
        assert_eq!(
            found,
            [
                (1, "Top".to_owned(), 0),
                (1, "One".to_owned(), at("# One")),
                (2, "Two".to_owned(), at("Two")),
                (3, "C#".to_owned(), at("### C#")),
            ]
        );
    }
}
