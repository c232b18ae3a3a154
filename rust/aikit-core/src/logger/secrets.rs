//! Keeps secrets out of records: values that were told, and what a host's scrubber finds.

use std::{
    borrow::Cow,
    cmp::Reverse,
    mem,
    sync::{Arc, LazyLock, OnceLock},
};

use aho_corasick::{AhoCorasick, MatchKind};
use arc_swap::ArcSwap;

use super::{
    Fields,
    fields::{Draft, Origin},
};
use crate::{Value, quote, value::Map};

/// What stands where a secret was.
pub const HIDDEN: &str = "***";

/// Shorter values would be found in ordinary text.
const SECRET_CHARS_MIN: usize = 6;

/// Secrets that are remembered; the oldest are forgotten beyond this.
const SECRETS_MAX: usize = 256;

/// Deepest data that is looked through; what lies deeper is left out.
const DEPTH_MAX: usize = 16;

/// What a host knows of the forms of secrets.
#[derive(Clone, Copy, Debug)]
pub struct Scrubber {
    /// Whether a text, or a name in it, may tell of a secret; where it does not, `hide` finds none
    /// in any part of it.
    pub may_hold: fn(&str) -> bool,
    /// Takes the name of a field (empty for a message) and a text that is no known secret; answers
    /// the text without what looks like one, or `None` when it may stay.
    pub hide: fn(&str, &str) -> Option<String>,
}

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
        let host = SCRUBBER.get();
        match host.and_then(|it| (it.hide)(name, &text)) {
            Some(scrubbed) => Cow::Owned(scrubbed),
            None => text,
        }
    }

    /// Whether a text or a name may be or tell of a secret.
    fn may_be_in(&self, fields: &Fields) -> bool {
        let texts = fields.texts();
        let is_known = match &self.finder {
            Some(finder) => finder.is_match(texts),
            None => self.secrets.iter().any(|it| texts.contains(&**it)),
        };
        // What aikit itself made has no form of a secret.
        let has_form = |it: &Scrubber| (it.may_hold)(fields.given_texts());
        is_known
            || SCRUBBER.get().is_some_and(has_form)
            || fields.fields().iter().any(Fields::is_looked_into)
    }

    /// Sets the fields of another without secrets.
    fn clean_into(&self, cleaned: &mut Fields, fields: &Fields) {
        for field in fields.fields() {
            let mut value = fields.value(field).to_value();
            let tells = field.origin != Origin::Context;
            self.clean(if tells { &field.name } else { "" }, &mut value, 0);
            let name = match &field.name {
                Cow::Borrowed(name) => Cow::Borrowed(*name),
                Cow::Owned(name) => {
                    Cow::Owned(self.hide_in_name(name).unwrap_or_else(|| name.clone()))
                }
            };
            cleaned.set_as(name, value, field.origin);
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
    quote::set_scrub(|text| scrub("", text));
}

/// Looks for what has the form of a secret, too; the first scrubber stays.
pub fn set_scrubber(scrubber: Scrubber) {
    SCRUBBER.get_or_init(|| scrubber);
    quote::set_scrub(|text| scrub("", text));
}

/// A text without secrets; `name` is that of its field, empty for none.
pub fn scrub<'a>(name: &str, text: &'a str) -> Cow<'a, str> {
    KNOWN.load().scrub(name, text)
}

/// Hides the secrets in what a record says and in the fields of its Context, their names included.
/// Names that stand in source code are no secrets, and those that aikit itself gives tell of none.
pub(super) fn clean(draft: &mut Draft, context: &mut Fields) {
    let known = KNOWN.load();
    if known.may_be_in(&draft.fields) {
        let target = if draft.is_made() {
            Cow::Borrowed(draft.target())
        } else {
            known.scrub("", draft.target())
        };
        let mut cleaned = Draft::new(draft.is_made(), |text| text.push_str(&target));
        cleaned.set_message(|text| text.push_str(&known.scrub("", draft.message())));
        known.clean_into(&mut cleaned.fields, &draft.fields);
        *draft = cleaned;
    }
    if known.may_be_in(context) {
        let mut cleaned = Fields::new();
        known.clean_into(&mut cleaned, context);
        *context = cleaned;
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
