//! Keeps secrets out of records: values that were told, and what a host's scrubber finds.

use std::{
    borrow::Cow,
    cmp::Reverse,
    mem,
    sync::{Arc, LazyLock, OnceLock},
};

use aho_corasick::{AhoCorasick, MatchKind};
use arc_swap::ArcSwap;

use super::Fields;
use crate::{Value, value::Map};

/// What stands where a secret was.
pub const HIDDEN: &str = "***";

/// Shorter values would be found in ordinary text.
const SECRET_CHARS_MIN: usize = 6;

/// Secrets that are remembered; the oldest are forgotten beyond this.
const SECRETS_MAX: usize = 256;

/// Deepest data that is looked through; what lies deeper is left out.
const DEPTH_MAX: usize = 16;

/// Takes the name of a field (empty for a message) and a text that is no known secret; answers
/// the text without what looks like one, or `None` when it may stay.
pub(super) type Scrubber = fn(&str, &str) -> Option<String>;

static KNOWN: LazyLock<ArcSwap<Known>> = LazyLock::new(ArcSwap::default);
static SCRUBBER: OnceLock<Scrubber> = OnceLock::new();

/// The values that were told.
#[derive(Default)]
struct Known {
    /// The oldest first.
    secrets: Vec<Arc<str>>,
    /// Finds all of them in one pass; of two that begin in one place, the longer. Without it each
    /// is looked for by itself.
    finder: Option<AhoCorasick>,
}

impl Known {
    fn with(&self, secret: &str) -> Self {
        let mut secrets = self.secrets.clone();
        if secrets.len() >= SECRETS_MAX {
            secrets.remove(0);
        }
        secrets.push(Arc::from(secret));
        let mut builder = AhoCorasick::builder();
        let builder = builder.match_kind(MatchKind::LeftmostLongest);
        // It fails for values of gigabytes alone.
        let finder = builder.build(secrets.iter().map(|it| &**it)).ok();
        Self { secrets, finder }
    }

    fn scrub<'a>(&self, name: &str, text: &'a str) -> Cow<'a, str> {
        let text = match &self.finder {
            Some(finder) if finder.is_match(text) => {
                let mut shown = String::with_capacity(text.len());
                finder.replace_all_with(text, &mut shown, |_, _, shown| {
                    shown.push_str(HIDDEN);
                    true
                });
                Cow::Owned(shown)
            }
            Some(_) => Cow::Borrowed(text),
            None => self.replace_each(text),
        };
        match SCRUBBER.get().and_then(|scrub| scrub(name, &text)) {
            Some(scrubbed) => Cow::Owned(scrubbed),
            None => text,
        }
    }

    /// The longer ones first, which may hold others.
    fn replace_each<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut secrets: Vec<&str> = self.secrets.iter().map(|it| &**it).collect();
        secrets.sort_by_key(|it| Reverse(it.len()));
        let mut text = Cow::Borrowed(text);
        for secret in secrets {
            if text.contains(secret) {
                text = Cow::Owned(text.replace(secret, HIDDEN));
            }
        }
        text
    }

    /// A name with a secret in it, hidden; `None` when it may stay.
    fn hide_in_name(&self, name: &str) -> Option<String> {
        if name.len() < SECRET_CHARS_MIN {
            return None;
        }
        match self.scrub("", name) {
            Cow::Owned(hidden) => Some(hidden),
            Cow::Borrowed(_) => None,
        }
    }

    fn clean(&self, name: &str, value: &mut Value, depth: usize) {
        match value {
            _ if depth > DEPTH_MAX => *value = Value::Null,
            Value::String(text) => {
                if let Cow::Owned(scrubbed) = self.scrub(name, text) {
                    *text = scrubbed;
                }
            }
            Value::List(items) => {
                for item in items {
                    self.clean(name, item, depth + 1);
                }
            }
            Value::Map(members) => {
                for (name, member) in members.iter_mut() {
                    self.clean(name, member, depth + 1);
                }
                self.clean_names(members);
            }
            _ => {}
        }
    }

    fn clean_names(&self, members: &mut Map) {
        if members.keys().all(|it| self.hide_in_name(it).is_none()) {
            return;
        }
        let all = mem::take(members).into_iter();
        *members = all
            .map(|(name, member)| (self.hide_in_name(&name).unwrap_or(name), member))
            .collect();
    }
}

/// Hides a value wherever it stands in a record from now on. One of fewer than six characters is
/// not looked for: it would be found in ordinary text.
pub fn hide(secret: &str) {
    let secret = secret.trim();
    let is_short = secret.chars().count() < SECRET_CHARS_MIN;
    if is_short || KNOWN.load().secrets.iter().any(|it| **it == *secret) {
        return;
    }
    KNOWN.rcu(|known| known.with(secret));
}

/// Looks for what has the form of a secret, too; the first scrubber stays.
pub fn set_scrubber(scrubber: Scrubber) {
    SCRUBBER.get_or_init(|| scrubber);
}

/// A text without secrets; `name` is that of its field, empty for none.
pub fn scrub<'a>(name: &str, text: &'a str) -> Cow<'a, str> {
    KNOWN.load().scrub(name, text)
}

/// Hides the secrets in fields, their names included. Names that stand in source code are no
/// secrets, and those that aikit itself gives tell of none.
pub(super) fn clean(fields: &mut Fields) {
    let known = KNOWN.load();
    let mut is_renamed = false;
    for field in fields.iter_mut() {
        let name = if field.is_ours { "" } else { &field.name };
        known.clean(name, &mut field.value, 0);
        if let Cow::Owned(name) = &field.name
            && let Some(hidden) = known.hide_in_name(name)
        {
            field.name = Cow::Owned(hidden);
            is_renamed = true;
        }
    }
    if is_renamed {
        fields.unite();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_without_a_finder_too() {
        let mut known = ["secret", "secret-longer", "another"]
            .iter()
            .fold(Known::default(), |known, it| known.with(it));
        for text in [
            "a secret-longer, another secret",
            "secretsecret",
            "none",
            "",
        ] {
            let found = known.scrub("", text).into_owned();
            let finder = known.finder.take();
            assert!(finder.is_some());
            assert_eq!(known.scrub("", text), found);
            assert!(
                !found.contains("secret") && !found.contains("another"),
                "{found}"
            );
            known.finder = finder;
        }
    }
}
