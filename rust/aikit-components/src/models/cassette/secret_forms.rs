//! What secrets look like: forms of keys, addresses in which somebody asks, names.

use std::sync::LazyLock;

use aho_corasick::{Anchored, automaton::Automaton as _, dfa::DFA};
use regex::Regex;

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

pub(super) static FORM: LazyLock<Regex> = LazyLock::new(|| {
    let forms = FORMS.map(|(_, form)| form);
    expression(&forms.join("|"))
});

/// Who asks, in an address. A password in the address of a database often holds what belongs
/// encoded there.
pub(super) static ADDRESSES: LazyLock<Regex> = LazyLock::new(|| {
    let databases = "postgres(?:ql)?|mysql|mariadb|mongodb|rediss?|amqps?|mssql|clickhouse|ldaps?";
    expression(&format!(
        r"((?i:{databases})(?:\+\w+)?://)[^\s\x22'<>@/?#:]*:[^\s\x22'<>]*@|(\b[A-Za-z][A-Za-z0-9+.-]*:(?:\\?/){{2}})[^/\s?#\x22'<>]+@"
    ))
});

/// What may be the credentials of `Basic`.
pub(super) static BASIC: LazyLock<Regex> =
    LazyLock::new(|| expression(r"(?i:(\bbasic\s+))([A-Za-z0-9+/_-]{4,}={0,2})"));

/// A part of each name that can be one of a secret; `is_secret_name` knows better.
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
static SIGNS: LazyLock<DFA> = LazyLock::new(|| {
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
fn signs<'a>(all: impl Iterator<Item = &'a str>) -> DFA {
    DFA::builder()
        .ascii_case_insensitive(true)
        // The texts are short, and begin with whatever letter.
        .prefilter(false)
        .build(all)
        .expect("the signs are few")
}

/// Whether one of the signs stands anywhere in a text. Each record is looked through: this loop
/// takes half as long as the general one.
fn is_signed(signs: &DFA, text: &str) -> bool {
    let Ok(mut state) = signs.start_state(Anchored::No) else {
        return false;
    };
    for byte in text.bytes() {
        state = signs.next_state(Anchored::No, state, byte);
        // A special one is that of a match, or the one which nothing leads out of.
        if signs.is_special(state) && signs.is_match(state) {
            return true;
        }
    }
    false
}

/// A quoted name and what leads to its value.
pub(super) static MEMBER: LazyLock<Regex> = LazyLock::new(|| {
    expression(&format!(
        r"(?i)(\\*[\x22'])([\w. -]*(?:{})[\w -]*)\\*[\x22']\]?\s*(?::|=>|=)\s*",
        CORES.join("|")
    ))
});

/// A bare name and what leads to its value: a setting, a header, a flag, an entry of `.netrc`.
pub(super) static SETTING: LazyLock<Regex> = LazyLock::new(|| {
    expression(&format!(
        r"(?i)([\w.-]*(?:{})[\w-]*)([ \t]*(?::=|=>|[=:])[ \t]*|[ \t]+)",
        CORES.join("|")
    ))
});

#[expect(clippy::expect_used, reason = "the expressions are literals")]
fn expression(text: &str) -> Regex {
    Regex::new(text).expect("the form is an expression")
}

/// Whether a text has anything that a secret, or a name of one, has; where it has not, there is
/// nothing to hide.
pub(super) fn may_hold(text: &str) -> bool {
    is_signed(&SIGNS, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::cassette::{
        scrub::{HIDDEN, SECRET_ENDS, SECRET_WORDS, is_secret_name},
        secret_text::hide,
    };

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
                is_signed(&signs(signs_of_it.iter().copied()), sample),
                "{sample}"
            );
            let hidden = hide(format!("before {sample} after"));
            assert!(hidden.contains(HIDDEN), "{sample}: {hidden}");
        }
    }

    #[test]
    fn each_name_of_a_secret_has_a_sign() {
        for name in SECRET_ENDS.iter().chain(&SECRET_WORDS) {
            for name in [name.to_string(), format!("x_{name}s2"), name.to_uppercase()] {
                assert!(may_hold(&name), "{name}");
            }
        }
        assert!(is_secret_name("API-KEY") && !is_secret_name("agent") && !may_hold("agent"));
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
