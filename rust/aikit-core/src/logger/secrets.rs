//! Keeps secrets out of records: values that were told, and what a host's scrubber finds.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock, OnceLock},
};

use aho_corasick::{AhoCorasick, MatchKind};
use arc_swap::ArcSwap;

use super::Fields;
use crate::Value;

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
    /// Finds all of them in one pass; of two that begin in one place, the longer.
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
        // It fails for values of gigabytes alone, which no record can hold.
        let finder = builder.build(secrets.iter().map(|it| &**it)).ok();
        Self { secrets, finder }
    }

    fn scrub<'a>(&self, name: &str, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        if let Some(finder) = &self.finder
            && finder.is_match(&*text)
        {
            let mut shown = String::with_capacity(text.len());
            finder.replace_all_with(&text, &mut shown, |_, _, shown| {
                shown.push_str(HIDDEN);
                true
            });
            text = Cow::Owned(shown);
        }
        match SCRUBBER.get().and_then(|scrub| scrub(name, &text)) {
            Some(scrubbed) => Cow::Owned(scrubbed),
            None => text,
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
                for (name, member) in members {
                    self.clean(name, member, depth + 1);
                }
            }
            _ => {}
        }
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

/// Hides the secrets in a record's own fields.
pub(super) fn clean(fields: &mut Fields) {
    let known = KNOWN.load();
    for (name, value) in fields.iter_mut() {
        known.clean(name, value, 0);
    }
}

/// Hides the secrets in the fields of a Context. Those that aikit itself adds have names that
/// tell of no secret.
pub(super) fn clean_context(fields: &mut Fields) {
    let known = KNOWN.load();
    for (name, value) in fields.iter_mut() {
        let name = match name {
            Cow::Borrowed(_) => "",
            Cow::Owned(name) => name,
        };
        known.clean(name, value, 0);
    }
}
