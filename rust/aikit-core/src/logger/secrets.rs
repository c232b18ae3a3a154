//! Keeps secrets out of records: values that were told, and what a host's scrubber finds.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock, OnceLock},
};

use arc_swap::ArcSwap;

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

static KNOWN: LazyLock<ArcSwap<Vec<Arc<str>>>> = LazyLock::new(ArcSwap::default);
static SCRUBBER: OnceLock<Scrubber> = OnceLock::new();

/// Hides a value wherever it stands in a record from now on. One of fewer than six characters is
/// not looked for: it would be found in ordinary text.
pub fn hide(secret: &str) {
    let secret = secret.trim();
    if secret.chars().count() < SECRET_CHARS_MIN || KNOWN.load().iter().any(|it| **it == *secret) {
        return;
    }
    KNOWN.rcu(|known| {
        let mut known = Vec::clone(known);
        if known.len() >= SECRETS_MAX {
            known.remove(0);
        }
        known.push(Arc::from(secret));
        known
    });
}

/// Looks for what has the form of a secret, too; the first scrubber stays.
pub fn set_scrubber(scrubber: Scrubber) {
    SCRUBBER.get_or_init(|| scrubber);
}

/// A text without secrets; `name` is that of its field, empty for none.
pub fn scrub<'a>(name: &str, text: &'a str) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(text);
    for secret in KNOWN.load().iter() {
        if text.contains(&**secret) {
            text = Cow::Owned(text.replace(&**secret, HIDDEN));
        }
    }
    match SCRUBBER.get().and_then(|scrub| scrub(name, &text)) {
        Some(scrubbed) => Cow::Owned(scrubbed),
        None => text,
    }
}

/// Fields without secrets.
pub(super) fn without(mut fields: Map) -> Map {
    for (name, value) in &mut fields {
        clean(name, value, 0);
    }
    fields
}

fn clean(name: &str, value: &mut Value, depth: usize) {
    match value {
        _ if depth > DEPTH_MAX => *value = Value::Null,
        Value::String(text) => {
            if let Cow::Owned(scrubbed) = scrub(name, text) {
                *text = scrubbed;
            }
        }
        Value::List(items) => items.iter_mut().for_each(|it| clean(name, it, depth + 1)),
        Value::Map(members) => {
            for (name, member) in members {
                clean(name, member, depth + 1);
            }
        }
        _ => {}
    }
}
