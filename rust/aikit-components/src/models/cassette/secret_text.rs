//! Secrets inside a text: keys by their form, who asks in addresses, members of JSON, settings.
//!
//! What is hidden depends on the text alone, so the same text hides the same; hiding twice is
//! hiding once.

use std::{ops::Range, sync::LazyLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use regex::{Captures, Regex};

use super::scrub::{HIDDEN, is_secret_name};

/// Forms of keys and tokens: of `OpenAI` and Anthropic, Google, AWS, `GitHub`, `GitLab`, Slack,
/// Hugging Face, Groq, `xAI`, Stripe, `SendGrid`, npm, `PyPI`, Docker, Vault, `DigitalOcean`,
/// Shopify, Replicate, Perplexity, NVIDIA, Tavily, age, JSON Web Tokens, `Bearer …`, private keys,
/// and what signs an address. Before each, of what it has one at least, in whatever case.
const FORMS: [(&[&str], &str); 29] = [
    (&["sk-"], r"\bsk-[A-Za-z0-9_-]{16,}"),
    (&["AIza"], r"\bAIza[A-Za-z0-9_-]{30,}"),
    (&["ya29."], r"\bya29\.[A-Za-z0-9_-]{16,}"),
    (&["AKIA", "ASIA"], r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    (
        &["gho_", "ghp_", "ghs_", "ghu_", "ghr_"],
        r"\bgh[opsur]_[A-Za-z0-9]{30,}",
    ),
    (&["github_pat_"], r"\bgithub_pat_[A-Za-z0-9_]{30,}"),
    (&["glpat-"], r"\bglpat-[A-Za-z0-9_-]{20,}"),
    (
        &["xox", "xapp-"],
        r"\bx(?:ox[abeprs]|app)-[A-Za-z0-9-]{10,}",
    ),
    (&["hf_"], r"\bhf_[A-Za-z0-9]{30,}"),
    (&["gsk_"], r"\bgsk_[A-Za-z0-9]{30,}"),
    (&["xai-"], r"\bxai-[A-Za-z0-9]{30,}"),
    (&["sk_", "rk_"], r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{10,}"),
    (&["whsec_"], r"\bwhsec_[A-Za-z0-9+/=]{16,}"),
    (&["SG."], r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    (&["npm_"], r"\bnpm_[A-Za-z0-9]{30,}"),
    (&["pypi-"], r"\bpypi-[A-Za-z0-9_-]{30,}"),
    (&["dckr_pat_"], r"\bdckr_pat_[A-Za-z0-9_-]{20,}"),
    (&["hvb.", "hvs."], r"\bhv[bs]\.[A-Za-z0-9_-]{20,}"),
    (
        &["doo_v1_", "dop_v1_", "dor_v1_"],
        r"\bdo[opr]_v1_[a-f0-9]{40,}",
    ),
    (&["shp"], r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{20,}"),
    (&["r8_"], r"\br8_[A-Za-z0-9]{30,}"),
    (&["pplx-"], r"\bpplx-[A-Za-z0-9]{30,}"),
    (&["nvapi-"], r"\bnvapi-[A-Za-z0-9_-]{30,}"),
    (&["tvly-"], r"\btvly-[A-Za-z0-9-]{20,}"),
    (&["AGE-SECRET"], r"\bAGE-SECRET-KEY-1[A-Z0-9]{20,}"),
    (
        &["eyJ"],
        r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    ),
    (&["bearer"], r"(?i:\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}"),
    (
        &["-----BEGIN"],
        r"(?s:-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----)",
    ),
    (
        &["key=", "sig=", "signature=", "credential="],
        r"(?i:[?&;](?:key|sig|signature|x-amz-signature|x-amz-credential|x-goog-signature)=)[^&\s\x22'#]+",
    ),
];

static FORM: LazyLock<Regex> = LazyLock::new(|| {
    let forms = FORMS.map(|(_, form)| form);
    expression(&forms.join("|"))
});

/// Who asks, in an address. A password in the address of a database often holds what belongs
/// encoded there.
static ADDRESSES: LazyLock<Regex> = LazyLock::new(|| {
    let databases = "postgres(?:ql)?|mysql|mariadb|mongodb|rediss?|amqps?|mssql|clickhouse|ldaps?";
    expression(&format!(
        r"((?i:{databases})(?:\+\w+)?://)[^\s\x22'<>@/?#:]*:[^\s\x22'<>]*@|(\b[A-Za-z][A-Za-z0-9+.-]*:(?:\\?/){{2}})[^/\s?#\x22'<>]+@"
    ))
});

/// What may be the credentials of `Basic`.
static BASIC: LazyLock<Regex> =
    LazyLock::new(|| expression(r"(?i:(\bbasic\s+))([A-Za-z0-9+/_-]{4,}={0,2})"));

/// A part of each name that can be one of a secret; [`is_secret_name`] knows better.
const CORES: [&str; 16] = [
    "key",
    "secret",
    "token",
    "pass",
    "pwd",
    "pw",
    "credential",
    "authorization",
    "auth",
    "cookie",
    "jwt",
    "bearer",
    "psk",
    "pin",
    "otp",
    "connection[_-]?string",
];

/// Finds whether a text has anything that a secret has: nearly all have not, and this is read in
/// one pass, where the expressions would be tried one by one at each letter.
static SIGNS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let forms = FORMS.iter().flat_map(|(signs, _)| signs.iter().copied());
    let cores = CORES
        .iter()
        .map(|it| it.find('[').map_or(*it, |end| &it[..end]));
    // An address in which somebody asks, credentials of `Basic`, and the letters that are `k` and
    // `s` in another case and are none of ASCII.
    let others = ["@", "basic", "\u{212a}", "\u{17f}"];
    signs(forms.chain(cores).chain(others))
});

#[expect(clippy::expect_used, reason = "there are few signs, and short ones")]
fn signs<'a>(all: impl Iterator<Item = &'a str>) -> AhoCorasick {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        // The texts are short, and begin with whatever letter.
        .prefilter(false)
        .build(all)
        .expect("the signs are few")
}

/// A quoted name and what leads to its value.
static MEMBER: LazyLock<Regex> = LazyLock::new(|| {
    expression(&format!(
        r"(?i)(\\*[\x22'])([\w. -]*(?:{})[\w -]*)\\*[\x22']\]?\s*(?::|=>|=)\s*",
        CORES.join("|")
    ))
});

/// A bare name and what leads to its value: a setting, a header, a flag, an entry of `.netrc`.
static SETTING: LazyLock<Regex> = LazyLock::new(|| {
    expression(&format!(
        r"(?i)([\w.-]*(?:{})[\w-]*)([ \t]*(?::=|=>|[=:])[ \t]*|[ \t]+)",
        CORES.join("|")
    ))
});

/// What stands after the name of a secret in the source of a program, and is none.
const NO_SECRETS: [&str; 17] = [
    "null",
    "none",
    "nil",
    "true",
    "false",
    "undefined",
    "str",
    "string",
    "&str",
    "int",
    "bool",
    "bytes",
    "optional",
    "required",
    "any",
    "str,",
    "string,",
];

/// Decodes what the credentials of `Basic` are written in, whether or not it is padded.
static LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[expect(clippy::expect_used, reason = "the expressions are literals")]
fn expression(text: &str) -> Regex {
    Regex::new(text).expect("the form is an expression")
}

/// The text without its secrets.
pub(super) fn hide(text: String) -> String {
    if !may_hold(&text) {
        return text;
    }
    let text = replaced(text, &FORM, |found| {
        let whole = &found[0];
        // What names the secret stays, so that the line can be read.
        let kept = whole.find(['=', ' ']).filter(|_| !whole.starts_with('-'));
        format!("{}{HIDDEN}", kept.map_or("", |at| &whole[..=at]))
    });
    let text = replaced(text, &ADDRESSES, |found| {
        let start = found.get(1).or_else(|| found.get(2));
        format!("{}{HIDDEN}@", start.map_or("", |it| it.as_str()))
    });
    let text = replaced(text, &BASIC, |found| {
        let decoded = LENIENT.decode(&found[2]).ok();
        let decoded = decoded.and_then(|it| String::from_utf8(it).ok());
        if decoded.is_some_and(|it| it.contains(':')) {
            format!("{}{HIDDEN}", &found[1])
        } else {
            found[0].to_owned()
        }
    });
    settings(members(text))
}

/// Whether a text has anything that a secret has; where it has not, [`hide`] leaves it as it is.
pub(super) fn may_hold(text: &str) -> bool {
    SIGNS.is_match(text)
}

fn replaced(text: String, form: &Regex, by: impl Fn(&Captures<'_>) -> String) -> String {
    if form.is_match(&text) {
        form.replace_all(&text, by).into_owned()
    } else {
        text
    }
}

/// Hides the values of members of JSON, of Python and Lua tables and the like, also where these
/// stand in a text of JSON themselves.
fn members(text: String) -> String {
    let mut shown = Shown::new(&text);
    while let Some(found) = MEMBER.captures_at(&text, shown.seen) {
        shown.seen = end_of(&found);
        if !is_secret_name(found[2].trim()) {
            continue;
        }
        let rest = &text[shown.seen..];
        if let Some(inside) = Quoted::at(rest).map(|it| it.inside) {
            shown.hide(inside, "");
        } else if let Some(length) = bare_value(rest) {
            // Still of the kind that it was in: a text of JSON stays one.
            shown.hide(0..length, &found[1]);
        }
    }
    shown.text().unwrap_or(text)
}

/// Hides the values of settings, headers and flags.
fn settings(text: String) -> String {
    let mut shown = Shown::new(&text);
    while let Some(found) = SETTING.captures_at(&text, shown.seen) {
        let name = found.get(1).map_or(0..0, |it| it.range());
        shown.seen = end_of(&found);
        if !is_secret_name(found[1].trim_start_matches('-')) {
            continue;
        }
        let (before, rest) = (&text[..name.start], &text[shown.seen..]);
        if let Some(range) = set_value(before, (&found[1], &found[2]), rest) {
            shown.hide(range, "");
        }
    }
    shown.text().unwrap_or(text)
}

fn end_of(found: &Captures<'_>) -> usize {
    found.get(0).map_or(usize::MAX, |it| it.end())
}

/// A text of which parts are being hidden.
struct Shown<'a> {
    text: &'a str,
    parts: String,
    /// How far the text was copied.
    copied: usize,
    /// How far it was looked at.
    seen: usize,
}

impl<'a> Shown<'a> {
    const fn new(text: &'a str) -> Self {
        Self {
            text,
            parts: String::new(),
            copied: 0,
            seen: 0,
        }
    }

    /// Hides a range that is counted from what was looked at.
    fn hide(&mut self, range: Range<usize>, quote: &str) {
        let (start, end) = (self.seen + range.start, self.seen + range.end);
        self.parts.push_str(&self.text[self.copied..start]);
        for part in [quote, HIDDEN, quote] {
            self.parts.push_str(part);
        }
        (self.copied, self.seen) = (end, end);
    }

    /// The text, when something of it was hidden.
    fn text(mut self) -> Option<String> {
        (self.copied > 0).then(|| {
            self.parts.push_str(&self.text[self.copied..]);
            self.parts
        })
    }
}

/// A quoted text, its quotes escaped as often as the text is one of JSON.
struct Quoted {
    inside: Range<usize>,
    /// After the closing quote.
    end: usize,
}

impl Quoted {
    /// The one that a text begins with; one that is not closed goes to the end.
    fn at(text: &str) -> Option<Self> {
        let escapes = text.bytes().take_while(|it| *it == b'\\').count();
        let quote = text.as_bytes().get(escapes).copied();
        let quote = quote.filter(|it| matches!(it, b'"' | b'\''))?;
        let start = escapes + 1;
        // Escaped once more each time, a closing quote has 0, 1, 3, 7, … backslashes before it;
        // what else it has are escaped backslashes.
        let every = 2 * (escapes + 1);
        let mut before = 0;
        for (place, byte) in text.bytes().enumerate().skip(start) {
            match byte {
                b'\\' => before += 1,
                it if it == quote && before % every == escapes => {
                    return Some(Self {
                        inside: start..place - escapes,
                        end: place + 1,
                    });
                }
                _ => before = 0,
            }
        }
        let (inside, end) = (start..text.len(), text.len());
        Some(Self { inside, end }).filter(|it| !it.inside.is_empty())
    }
}

/// Length of a number, a list or a map at the beginning of a text; `None` for what is no secret.
fn bare_value(text: &str) -> Option<usize> {
    if text.starts_with(['[', '{']) {
        return Some(bracketed(text));
    }
    let ends = |it: char| it.is_whitespace() || ",;]})\"'\\".contains(it);
    let length = text.find(ends).unwrap_or(text.len());
    let value = &text[..length];
    (length > 0 && !is_no_secret(value)).then_some(length)
}

/// Length of a list or a map, to its last bracket.
fn bracketed(text: &str) -> usize {
    let (mut depth, mut place) = (0_usize, 0);
    while let Some(byte) = text.as_bytes().get(place) {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            // On a border of characters, as it is one of ASCII.
            b'"' | b'\'' | b'\\' => {
                if let Some(quoted) = Quoted::at(&text[place..]) {
                    place += quoted.end;
                    continue;
                }
            }
            _ => {}
        }
        place += 1;
        if depth == 0 {
            return place;
        }
    }
    text.len()
}

fn is_no_secret(value: &str) -> bool {
    NO_SECRETS.iter().any(|it| it.eq_ignore_ascii_case(value))
}

/// Where the value of a setting is, from its name, what separates them, and what is around.
fn set_value(before: &str, (name, separator): (&str, &str), rest: &str) -> Option<Range<usize>> {
    let run = rest
        .find(|it: char| it.is_whitespace() || "\"'&;,<>()[]{}|\\".contains(it))
        .unwrap_or(rest.len());
    let sign = separator.trim();
    let is_flag = name.starts_with("--");
    if sign.is_empty() {
        let is_login = before.trim_end().rsplit(' ').nth(1) == Some("login");
        if !(is_flag || is_login && name == "password") || rest.starts_with('-') {
            return None;
        }
    }
    if let Some(inside) = Quoted::at(rest).map(|it| it.inside) {
        return Some(inside).filter(|it| !it.is_empty());
    }
    let value = &rest[..run];
    // The source of a program and variables of a shell name a secret, they are none.
    let is_source = rest[run..].starts_with(['(', '['])
        || value.starts_with(['$', '%'])
        || value == name
        || is_no_secret(value);
    if value.is_empty() || is_source {
        return None;
    }
    if sign.is_empty() || separator == "=" {
        return Some(0..run);
    }
    if !begins_line(before) {
        return None;
    }
    // No further than the line: a text may have many.
    let line = rest
        .find(['\n', '\r', '"', '\''])
        .map_or(rest, |end| &rest[..end]);
    let line = line.find("\\n").map_or(line, |end| &line[..end]);
    let line = line.trim_end();
    // With spaces around its sign, `name = a + b` is a program.
    (sign == ":" || line.len() == run).then_some(0..line.len())
}

/// Whether nothing but what leads to a name stands before it in its line, or a quote, as in a
/// command with a header.
fn begins_line(before: &str) -> bool {
    let before = before.trim_end_matches([' ', '\t', '-', '>', '*']);
    let before = ["export", "set", "ENV"]
        .iter()
        .find_map(|it| before.strip_suffix(it))
        .unwrap_or(before)
        .trim_end_matches([' ', '\t']);
    before.is_empty() || before.ends_with(['\n', '\r', '"', '\'']) || before.ends_with("\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One text for each form, in its order.
    fn samples() -> Vec<String> {
        let x = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6";
        let (upper, hexadecimal) = (x.to_uppercase(), "0123456789abcdef".repeat(3));
        vec![
            format!("sk-{x}"),
            format!("AIza{x}"),
            format!("ya29.{x}"),
            format!("AKIA{}", &upper[..16]),
            format!("ghp_{x}"),
            format!("github_pat_{x}"),
            format!("glpat-{x}"),
            format!("xoxb-{x}"),
            format!("hf_{x}"),
            format!("gsk_{x}"),
            format!("xai-{x}"),
            format!("rk_live_{x}"),
            format!("whsec_{x}"),
            format!("SG.{x}.{x}"),
            format!("npm_{x}"),
            format!("pypi-{x}"),
            format!("dckr_pat_{x}"),
            format!("hvs.{x}"),
            format!("dop_v1_{hexadecimal}"),
            format!("shpca_{hexadecimal}"),
            format!("r8_{x}"),
            format!("pplx-{x}"),
            format!("nvapi-{x}"),
            format!("tvly-{x}"),
            format!("AGE-SECRET-KEY-1{upper}"),
            format!("eyJ{x}.{x}.{x}"),
            format!("BEARER {x}"),
            "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----".to_owned(),
            "?X-Amz-Signature=abc".to_owned(),
        ]
    }

    #[test]
    fn each_form_has_a_sign_by_which_it_is_found_and_hidden() {
        let samples = samples();
        assert_eq!(samples.len(), FORMS.len());
        for ((signs_of_it, form), sample) in FORMS.iter().zip(&samples) {
            assert!(expression(form).is_match(sample), "{form}: {sample}");
            assert!(
                signs(signs_of_it.iter().copied()).is_match(sample),
                "{sample}"
            );
            let hidden = hide(format!("before {sample} after"));
            assert!(hidden.contains(HIDDEN), "{sample}: {hidden}");
        }
    }

    #[test]
    fn without_a_sign_no_expression_finds_anything() {
        // Texts of pieces from which all forms can be put together.
        let mut pieces: Vec<String> = samples();
        pieces.extend(CORES.map(str::to_owned));
        let others = [
            " ",
            "=",
            ": ",
            "\"",
            "'",
            "://",
            "ada",
            "@",
            "Basic YTpi",
            "\u{212a}ey",
            "to\u{212a}en",
            "pa\u{17f}\u{17f}",
            "PASS",
            "connection string",
            "\n",
            "--",
            "0f",
            "ü",
            "login",
            "12345678",
        ];
        pieces.extend(others.map(str::to_owned));
        let mut state = 7_u64;
        let mut below = |bound: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from(state >> 33).unwrap_or_default() % bound
        };
        let (mut with, mut without) = (0, 0);
        for _ in 0..3_000 {
            let mut text = String::new();
            for _ in 0..=below(5) {
                let piece = &pieces[below(pieces.len())];
                let (from, to) = (below(piece.len() + 1), below(piece.len() + 1));
                // Whole ones, and what is left when something is cut off.
                let part = piece
                    .get(from.min(to)..from.max(to))
                    .filter(|_| below(3) == 0);
                text.push_str(part.unwrap_or(piece));
            }
            if may_hold(&text) {
                with += 1;
                continue;
            }
            without += 1;
            assert!(!FORM.is_match(&text), "{text}");
            assert!(!ADDRESSES.is_match(&text), "{text}");
            assert!(!BASIC.is_match(&text), "{text}");
            assert!(!MEMBER.is_match(&text), "{text}");
            assert!(!SETTING.is_match(&text), "{text}");
        }
        assert!(
            with > 100 && without > 100,
            "{with} with a sign, {without} without"
        );
    }
}
