//! Which dotted names a subscription means.

use super::EventKind;
use crate::{Error, Result};

/// Longest pattern and longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 256;

/// A dotted name where `*` stands for one part and `**` for any number of parts, none included.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern(Vec<String>);

impl Pattern {
    /// Takes a pattern as it is; one that no name can fit fits none.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.split('.').map(str::to_owned).collect())
    }

    /// Reads a pattern that somebody wrote.
    ///
    /// # Errors
    ///
    /// `invalid_args` for one that no name can fit: empty, too long, with an empty part, with a `*`
    /// inside of a part, or with colons for the dots of an event of aikit.
    pub fn parse(pattern: &str) -> Result<Self> {
        check_name("pattern", pattern)?;
        let is_mixed = |part: &&str| part.contains('*') && !matches!(*part, "*" | "**");
        if let Some(part) = pattern.split('.').find(is_mixed) {
            let message = format!("the pattern `{pattern}` fits no name, because of `{part}`");
            let hint = "`*` stands for a whole part between dots and `**` for any number of parts";
            let hint = if part.contains(':') {
                format!("{hint}: write `{}`", pattern.replace(':', "."))
            } else {
                hint.to_owned()
            };
            return Err(Error::invalid_args(message).with_hint(hint));
        }
        // No event can have the name of one of ours with colons, see `EventKind::custom`.
        let dotted = pattern.replace(':', ".");
        if dotted != pattern && EventKind::NAMES.contains(&&*dotted) {
            let message = format!("the pattern `{pattern}` fits no event: their names have dots");
            return Err(Error::invalid_args(message).with_hint(format!("write `{dotted}`")));
        }
        Ok(Self::new(pattern))
    }

    /// Whether `name` fits. Takes time in proportion to the lengths of both, however many `**`
    /// there are.
    pub fn matches(&self, name: &str) -> bool {
        if let [only] = &self.0[..]
            && only == "**"
        {
            return true;
        }
        let parts: Vec<&str> = name.split('.').collect();
        let (mut at, mut place) = (0, 0);
        // Where the last `**` stands, and up to where it has eaten: only that one is ever extended.
        let mut star: Option<(usize, usize)> = None;
        while place < parts.len() {
            match self.0.get(at).map(String::as_str) {
                Some("**") => {
                    star = Some((at, place));
                    at += 1;
                }
                Some(part) if part == "*" || part == parts[place] => {
                    at += 1;
                    place += 1;
                }
                _ => {
                    let Some((stars_at, eaten)) = star else {
                        return false;
                    };
                    star = Some((stars_at, eaten + 1));
                    (at, place) = (stars_at + 1, eaten + 1);
                }
            }
        }
        self.0[at..].iter().all(|part| part == "**")
    }
}

/// Refuses what is no dotted name.
///
/// # Errors
///
/// `invalid_args`, with `what` it should have been.
pub(super) fn check_name(what: &str, name: &str) -> Result<()> {
    let problem = if name.len() > NAME_BYTES_MAX {
        format!("is longer than {NAME_BYTES_MAX} bytes")
    } else if name.split('.').any(str::is_empty) {
        "has an empty part".to_owned()
    } else if name.chars().any(|it| it.is_control() || it.is_whitespace()) {
        "has a space or a control character".to_owned()
    } else {
        return Ok(());
    };
    let message = format!("the {what} `{}` {problem}", name.escape_debug());
    let message = message.chars().take(NAME_BYTES_MAX).collect::<String>();
    Err(Error::invalid_args(message)
        .with_hint("write parts with dots between them, such as `build.step.done`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_parts_of_a_dotted_name() {
        let cases = [
            ("**", "a.b.c", true),
            ("**", "a", true),
            ("a.*", "a.b", true),
            ("a.*", "a.b.c", false),
            ("a.*", "a", false),
            ("a.**", "a", true),
            ("a.**", "b.a", false),
            ("a.**.d", "a.b.c.d", true),
            ("a.**.d", "a.d", true),
            ("a.**.d", "a.b.c.e", false),
            ("**.c", "a.b.c", true),
            ("**.*", "a", true),
            ("**.a.**", "b.a.c", true),
            ("*", "a.b", false),
            ("a.b", "a.b", true),
            ("**.b.c", "a.b.b.c", true),
        ];
        for (pattern, name, expected) in cases {
            let matches = Pattern::new(pattern).matches(name);
            assert_eq!(matches, expected, "{pattern:?} {name}");
        }
    }

    /// The definition, which takes exponential time.
    fn plainly(pattern: &[String], parts: &[&str]) -> bool {
        match (pattern.split_first(), parts.split_first()) {
            (None, None) => true,
            (Some((first, rest)), _) if first == "**" => {
                (0..=parts.len()).any(|skip| plainly(rest, &parts[skip..]))
            }
            (Some((first, rest)), Some((part, others))) => {
                (first == "*" || first == part) && plainly(rest, others)
            }
            _ => false,
        }
    }

    #[test]
    fn every_short_pattern_matches_as_the_definition_says() {
        let all = |words: &[&str], length: u32| -> Vec<String> {
            let count = words.len();
            let numbers = (1..=length).flat_map(|it| (0..count.pow(it)).map(move |n| (it, n)));
            numbers
                .map(|(length, number)| {
                    let word = |place| words[number / count.pow(place) % count];
                    (0..length).map(word).collect::<Vec<_>>().join(".")
                })
                .collect()
        };
        let names = all(&["a", "b"], 4);
        for pattern in all(&["a", "b", "*", "**"], 4) {
            let made = Pattern::new(&pattern);
            for name in &names {
                let parts: Vec<&str> = name.split('.').collect();
                assert_eq!(
                    made.matches(name),
                    plainly(&made.0, &parts),
                    "{pattern} {name}"
                );
            }
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = Pattern::new(&["**"; 60].join(".").replace("**.**", "**.x"));
        assert!(!pattern.matches(&["x"; 120].join(".").replace("x.x", "x.y")));
    }

    #[test]
    fn what_no_name_can_fit_is_refused() {
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for wrong in [
            "",
            "a..b",
            ".",
            "a.",
            "a b",
            "a\n",
            "a*",
            "a.*b",
            "***",
            "a:*",
            "procedure:start",
            &long,
        ] {
            let error = Pattern::parse(wrong).unwrap_err();
            assert!(
                error.hint().is_some() && error.message().len() < 600,
                "{error}"
            );
        }
        assert!(Pattern::parse("a.**.ö").is_ok());
    }
}
