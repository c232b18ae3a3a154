//! Keeps secrets out of cassettes: known values, members whose names say it, and what looks so.

use std::sync::{PoisonError, RwLock};

use aikit_core::{Value, tape::TapeCall, value::Map};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

use super::secret_text;

/// What stands where a secret was.
pub(super) const HIDDEN: &str = "***";

/// Shorter values would be found in ordinary text.
const SECRET_CHARS_MIN: usize = 6;

/// Shorter words would be found in ordinary text; of shorter values whole texts are hidden alone.
const WORD_CHARS_MIN: usize = 4;

/// How names of members, headers and variables end that hold secrets: in lower case, without what
/// is no letter or digit and without digits at the end.
pub(super) const SECRET_ENDS: [&str; 35] = [
    "accesskey",
    "accesskeyid",
    "accesstokens",
    "accountkey",
    "apikey",
    "apitokens",
    "authkey",
    "authorization",
    "authtokens",
    "bearer",
    "bearertokens",
    "clientkey",
    "connectionstring",
    "cookie",
    "credential",
    "encryptionkey",
    "jwt",
    "masterkey",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "pgpass",
    "pincode",
    "privatekey",
    "pwd",
    "refreshtokens",
    "secret",
    "secretkey",
    "sharedkey",
    "signingkey",
    "sshkey",
    "storagekey",
    "subscriptionkey",
    "token",
];

/// Last words of such names, or whole ones.
pub(super) const SECRET_WORDS: [&str; 6] = ["auth", "jwt", "otp", "pin", "psk", "pw"];

/// Replaces secrets in what is recorded, and in what is looked for.
#[derive(Default)]
pub(super) struct Scrubber {
    /// Longest first: one secret may hold another.
    secrets: RwLock<Vec<Secret>>,
}

// By hand: it holds nothing but secrets.
impl std::fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scrubber").finish_non_exhaustive()
    }
}

/// Whether a member, a header or a setting of this name holds a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let word = name.rsplit(|it: char| !it.is_alphanumeric()).next();
    let word = word.unwrap_or_default().to_lowercase();
    let is_compound = word.len() < name.len();
    is_secret_variable(name) || SECRET_WORDS.contains(&&*word) || (is_compound && word == "pass")
}

/// Whether a variable of this name holds a secret, which is then hidden wherever it stands.
pub(crate) fn is_secret_variable(name: &str) -> bool {
    // Where a shell is, and was before.
    if matches!(name, "PWD" | "OLDPWD") {
        return false;
    }
    let letters = name.chars().filter(|it| it.is_alphanumeric());
    let plain: String = letters.flat_map(char::to_lowercase).collect();
    let plain = plain.trim_end_matches(|it: char| it.is_ascii_digit());
    // Many tokens are counted, and none.
    let one = plain.strip_suffix('s').filter(|it| !it.ends_with("token"));
    SECRET_ENDS
        .iter()
        .any(|it| plain.ends_with(it) || one.is_some_and(|one| one.ends_with(it)))
}

/// A value that is hidden, in the forms in which it can stand in a text.
#[derive(PartialEq)]
struct Secret {
    value: String,
    /// Whether somebody typed it for what is recorded now, and nothing else holds it.
    is_typed: bool,
    /// Longest first.
    forms: Vec<String>,
}

impl Secret {
    fn new(value: &str, is_typed: bool) -> Self {
        let json = serde_json::Value::from(value).to_string();
        let inside = json.trim_matches('"').to_owned();
        let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let percent = encoded.replace('+', "%20");
        let mut forms = vec![value.to_owned()];
        let forms_in_base64 = in_base64(value);
        for form in [inside, encoded, percent]
            .into_iter()
            .chain(forms_in_base64)
        {
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
        forms.sort_by_key(|it| std::cmp::Reverse(it.len()));
        Self {
            value: value.to_owned(),
            is_typed,
            forms,
        }
    }

    /// The text without the secret.
    fn hide_in(&self, mut text: String) -> String {
        if text.trim() == self.value {
            return HIDDEN.to_owned();
        }
        let characters = self.value.chars().count();
        for form in &self.forms {
            if !text.contains(form.as_str()) {
                continue;
            }
            text = if characters >= SECRET_CHARS_MIN {
                text.replace(form.as_str(), HIDDEN)
            } else {
                hide_words(&text, form, characters >= WORD_CHARS_MIN)
            };
        }
        text
    }
}

/// A secret inside a longer text or inside bytes that are written in base64: as what comes before
/// it has 0, 1 or 2 bytes more than groups of 3, and without the letters that its neighbours share.
fn in_base64(value: &str) -> Vec<String> {
    if value.chars().count() < SECRET_CHARS_MIN {
        return Vec::new();
    }
    let form = |before: usize| {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(value.as_bytes());
        let letters = STANDARD_NO_PAD.encode(&bytes);
        let (start, end) = ((8 * before).div_ceil(6), 8 * bytes.len() / 6);
        letters[start..end].to_owned()
    };
    let forms = (0..3).map(form);
    forms
        .flat_map(|it| [it.replace('+', "-").replace('/', "_"), it])
        .collect()
}

/// Hides a short secret where it stands between quotes or, as a word, between what is no letter
/// and no digit.
fn hide_words(text: &str, secret: &str, are_words: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = 0;
    for (place, found) in text.match_indices(secret) {
        let before = text[..place].chars().next_back();
        let after = text[place + found.len()..].chars().next();
        let is_quote = |it: Option<char>| it.is_some_and(|it| matches!(it, '"' | '\''));
        let is_edge = |it: Option<char>| it.is_none_or(|it| !it.is_alphanumeric());
        // The closing quote of a text of JSON is escaped in another one.
        let is_quoted = is_quote(before) && (is_quote(after) || after == Some('\\'));
        let is_word = are_words && is_edge(before) && is_edge(after);
        if is_quoted || is_word {
            shown.push_str(&text[rest..place]);
            shown.push_str(HIDDEN);
            rest = place + found.len();
        }
    }
    shown.push_str(&text[rest..]);
    shown
}

impl Scrubber {
    /// Remembers a value that the environment or the configuration holds, when it is long enough
    /// not to be found in ordinary text.
    pub(super) fn hide(&self, secret: &str) {
        if secret.trim().chars().count() >= SECRET_CHARS_MIN {
            self.remember(secret, false);
        }
    }

    /// Remembers a value that somebody typed unseen. A short one is hidden where it stands alone.
    pub(super) fn hide_typed(&self, secret: &str) {
        self.remember(secret, true);
    }

    /// Forgets what was typed: what is recorded next has its own.
    pub(super) fn forget_typed(&self) {
        let mut secrets = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        secrets.retain(|it| !it.is_typed);
    }

    fn remember(&self, secret: &str, is_typed: bool) {
        let secret = secret.trim();
        if secret.is_empty() {
            return;
        }
        let mut secrets = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        match secrets.iter_mut().find(|it| it.value == secret) {
            Some(known) => known.is_typed &= is_typed,
            None => secrets.push(Secret::new(secret, is_typed)),
        }
        secrets.sort_by_key(|it| std::cmp::Reverse(it.value.len()));
    }

    /// A call without secrets.
    pub(super) fn call(&self, call: TapeCall) -> TapeCall {
        TapeCall {
            kind: call.kind,
            request: self.value(call.request),
        }
    }

    /// Data without secrets.
    pub(super) fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Bytes(bytes) => match std::str::from_utf8(&bytes) {
                Ok(text) => Value::Bytes(self.text(text.to_owned()).into()),
                Err(_) => Value::Bytes(self.bytes(&bytes).into()),
            },
            Value::List(items) => self.items(items),
            Value::Map(map) => Value::Map(self.members(map)),
            other => other,
        }
    }

    /// Bytes in which texts stand among others.
    fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            let text = chunk.valid();
            if text.len() >= WORD_CHARS_MIN {
                shown.extend_from_slice(self.text(text.to_owned()).as_bytes());
            } else {
                shown.extend_from_slice(text.as_bytes());
            }
            shown.extend_from_slice(chunk.invalid());
        }
        shown
    }

    /// A list; of a pair of a name and a value, the value is that of a member.
    fn items(&self, mut items: Vec<Value>) -> Value {
        if let [name, value] = &mut *items
            && name.as_str().is_some_and(is_secret_name)
            && is_something(value)
        {
            *value = Value::from(HIDDEN);
        }
        items.into_iter().map(|it| self.value(it)).collect()
    }

    fn members(&self, mut map: Map) -> Map {
        // A member that is written as two of them.
        let named = ["name", "key", "header"].iter();
        let mut named = named.filter_map(|it| map.get(*it)?.as_str());
        if named.any(is_secret_name)
            && let Some(value) = map.get_mut("value").filter(|it| is_something(it))
        {
            *value = Value::from(HIDDEN);
        }
        let scrub = |(name, value): (String, Value)| {
            let value = if is_secret_name(&name) && is_something(&value) {
                Value::from(HIDDEN)
            } else {
                self.value(value)
            };
            (self.text(name), value)
        };
        map.into_iter().map(scrub).collect()
    }

    /// A text that broke off, without the beginning of a known value at its end.
    pub(super) fn without_beginning(&self, mut text: String) -> String {
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        let known = |it: &&Secret| it.value.chars().count() >= SECRET_CHARS_MIN;
        for secret in secrets.iter().filter(known) {
            let ends = secret.value.char_indices().map(|(end, _)| end);
            let mut ends = ends
                .skip(SECRET_CHARS_MIN)
                .collect::<Vec<_>>()
                .into_iter()
                .rev();
            if let Some(end) = ends.find(|end| text.ends_with(&secret.value[..*end])) {
                text.truncate(text.len() - end);
                text.push_str(HIDDEN);
            }
        }
        text
    }

    /// A text without secrets.
    pub(super) fn text(&self, text: String) -> String {
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        let text = secrets.iter().fold(text, |text, it| it.hide_in(text));
        secret_text::hide(text)
    }
}

/// Whether a value could be a secret: yes and no, and what is empty, are none.
fn is_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::String(text) => !text.is_empty(),
        Value::Bytes(bytes) => !bytes.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Map(map) => !map.is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
