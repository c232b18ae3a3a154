//! Asks for an approval, of the function an agent was given or of the user, so that nothing a
//! model writes can pass for a part of the question.

use std::{fmt::Write as _, sync::Arc};

use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    context::{Approval, Approver, Invocation, Verdict},
    per_process::PerProcess,
    script::Callable,
    services::{Ask, Decision, Permission, Policy, Question, Sending, Target},
};
use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::denied;

/// Longest sentence that is shown, in characters.
pub(crate) const ACTION_CHARACTERS_MAX: usize = 4000;

/// Most lines of a difference that are shown, and most characters of one.
const DETAIL_LINES_MAX: usize = 60;
const DETAIL_CHARACTERS_MAX: usize = 200;

/// Asks for one action; `Ok` when it is allowed.
///
/// # Errors
///
/// `denied` when the answer is no, `approval_needed` when nobody can be asked.
pub(super) async fn approve(
    cx: &Context,
    (policy, ask): (&dyn Policy, Option<&dyn Ask>),
    (permission, target): (Permission, Target<'_>),
    action: &str,
) -> Result<()> {
    check_length(action, target)?;
    let (detail, hidden) = detail(target);
    let mut action = visible(action, ACTION_CHARACTERS_MAX);
    let mut always = policy.scope(permission, target);
    if let Some(hidden) = hidden {
        // Who has not seen all allows no more than this.
        let _ = write!(action, " (not all is shown: {hidden})");
        always = None;
    }
    let approval = Approval {
        invocation: cx.invocation().cloned(),
        action,
        detail,
        always: always.map(|it| visible(&it, ACTION_CHARACTERS_MAX)),
    };
    // Somebody may answer `always` meanwhile.
    let is_allowed = || policy.decide(cx, permission, target) == Decision::Allow;
    match decide(cx, (cx.approver(), ask), &approval, is_allowed).await? {
        Verdict::Yes => Ok(()),
        // What a function says counts for its agent alone, which asks it each time.
        Verdict::Always if approval.always.is_none() || cx.approver().is_some() => Ok(()),
        Verdict::Always => {
            policy.remember(cx, permission, target);
            Ok(())
        }
        Verdict::No => {
            let message = format!("the user did not allow it: {}", approval.action);
            let hint = "answer `yes` when asked, to allow it once";
            Err(denied(&message, hint))
        }
    }
}

/// The verdict of whoever decides: the approver, or else the user, who is not asked what
/// `is_allowed` by then.
///
/// # Errors
///
/// `approval_needed` when nobody can be asked, and those of asking.
pub(crate) async fn decide(
    cx: &Context,
    (approver, ask): (Option<&Arc<dyn Approver>>, Option<&dyn Ask>),
    approval: &Approval,
    is_allowed: impl Fn() -> bool,
) -> Result<Verdict> {
    match (approver, ask) {
        (Some(approver), _) => approver.approve(cx, approval).await,
        (None, Some(ask)) => {
            let _turn = take_turn(cx).await?;
            if is_allowed() {
                return Ok(Verdict::Yes);
            }
            ask_user(cx, ask, approval).await
        }
        (None, None) => Err(needed(approval)),
    }
}

/// What cannot be shown in full cannot be approved: its end may be what matters.
fn check_length(action: &str, target: Target<'_>) -> Result<()> {
    let count = action.chars().count();
    if count <= ACTION_CHARACTERS_MAX {
        return Ok(());
    }
    let message = format!(
        "what needs an approval takes {count} characters to say, more than the \
         {ACTION_CHARACTERS_MAX} that are shown"
    );
    let hint = match target {
        Target::Process(_) => "give it shorter arguments; put data into a file or `stdin`",
        Target::Url { .. } => "put data into the body, not into the address",
        _ => "use a shorter path",
    };
    Err(Error::new(ErrorKind::LimitExceeded, message).with_hint(hint))
}

/// One question at a time: two at once could not be told apart, and an answer could count for the
/// other one.
static TURN: PerProcess<Arc<Semaphore>> = PerProcess::new();

/// Waits until nobody else asks the user.
pub(super) async fn take_turn(cx: &Context) -> Result<OwnedSemaphorePermit> {
    let turn = Arc::clone(TURN.get_or_init(|| Arc::new(Semaphore::new(1))));
    let turn = cx.within(turn.acquire_owned()).await?;
    turn.map_err(|error| Error::internal("nobody can ask").with_source(error))
}

async fn ask_user(cx: &Context, ask: &dyn Ask, approval: &Approval) -> Result<Verdict> {
    let question = question(approval);
    match ask.ask(cx, question).await {
        Ok(answer) => Ok(Verdict::from_value(&Value::String(answer)).unwrap_or(Verdict::No)),
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            Err(needed(approval).with_source(error))
        }
        Err(error) => Err(error),
    }
}

fn needed(approval: &Approval) -> Error {
    let message = format!("an approval is needed: {}", approval.action);
    Error::new(ErrorKind::ApprovalNeeded, message).with_hint(
        "run the call where the user can be asked: a notebook or a terminal; or give the agent \
         a function that decides, as its option `approve`",
    )
}

/// The question to a person.
fn question(approval: &Approval) -> Question {
    let mut prompt = String::new();
    if let Some(invocation) = &approval.invocation {
        // A name of a tool is a word, so it needs no care.
        let _ = writeln!(prompt, "Tool `{}` needs an approval.", invocation.tool);
    }
    for line in approval.detail.lines() {
        let _ = writeln!(prompt, "  | {line}");
    }
    let _ = write!(prompt, "Allow once: {}?", approval.action);
    let mut choices = vec!["yes".to_owned(), "no".to_owned()];
    if let Some(always) = &approval.always {
        let _ = write!(prompt, " (`always` allows, for this session, {always})");
        choices.push("always".to_owned());
    }
    Question {
        prompt,
        choices,
        secret: false,
    }
}

/// What else there is to see, and what of it is not shown.
fn detail(target: Target<'_>) -> (String, Option<String>) {
    let text = match target {
        Target::Change { change, .. } => change.detail.as_str().into(),
        Target::Process(request) => String::from_utf8_lossy(&request.stdin),
        Target::Url {
            sending: Some(sending),
            ..
        } => sent(&sending).into(),
        _ => return (String::new(), None),
    };
    let mut is_cut = false;
    let mut lines: Vec<String> = text
        .split_terminator('\n')
        .take(DETAIL_LINES_MAX)
        .map(|line| {
            is_cut |= line.chars().nth(DETAIL_CHARACTERS_MAX).is_some();
            visible(line, DETAIL_CHARACTERS_MAX)
        })
        .collect();
    let more = text.split_terminator('\n').count() - lines.len();
    let hidden = match (more, is_cut) {
        (0, false) => None,
        (0, true) => Some("long lines are cut".to_owned()),
        (1, _) => Some("1 more line".to_owned()),
        (more, _) => Some(format!("{more} more lines")),
    };
    if let Some(hidden) = &hidden {
        lines.push(format!("… not all is shown: {hidden}"));
    }
    (lines.join("\n"), hidden)
}

/// Headers and body of a request. A key that goes along is named, not shown.
fn sent(sending: &Sending<'_>) -> String {
    let mut text = String::new();
    for (name, value) in sending.headers {
        let value = match name.as_str() {
            "authorization" | "cookie" => "(hidden)",
            _ => value,
        };
        let _ = writeln!(text, "{name}: {value}");
    }
    if !text.is_empty() && !sending.body.is_empty() {
        text.push('\n');
    }
    text.push_str(&String::from_utf8_lossy(sending.body));
    text
}

/// `text` on one line, with every character that a terminal or a page would not show as itself
/// written as its code: line ends, escapes, marks that turn the direction of writing.
pub(crate) fn visible(text: &str, characters_max: usize) -> String {
    let mut shown = String::with_capacity(text.len());
    for (index, character) in text.chars().enumerate() {
        if index == characters_max {
            let _ = write!(shown, "… ({} characters)", text.chars().count());
            break;
        }
        let is_hidden = character.is_control()
            || matches!(character,
                '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
        if is_hidden {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// The call of a tool with the digest that an approval is bound to.
pub(crate) fn invocation(tool: &str, args: &Value) -> Invocation {
    Invocation {
        tool: tool.to_owned(),
        args: args.clone(),
        digest: digest(tool, args),
    }
}

/// BLAKE3 of a name and a value, 64 hexadecimal digits.
pub(crate) fn digest(name: &str, value: &Value) -> String {
    let mut hasher = blake3::Hasher::new();
    hash(&mut hasher, &Value::from(name));
    hash(&mut hasher, value);
    hasher.finalize().to_hex().to_string()
}

/// Feeds a value so that two values give the same bytes exactly when they are equal: each part
/// begins with its type and length, and members are sorted.
fn hash(hasher: &mut blake3::Hasher, value: &Value) {
    let mut part = |tag: u8, bytes: &[u8]| {
        hasher.update(&[tag]);
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    match value {
        Value::Null => part(0, &[]),
        Value::Bool(it) => part(1, &[u8::from(*it)]),
        Value::Int(it) => part(2, &it.to_le_bytes()),
        // One pattern for all that are not a number, and one zero.
        Value::Float(it) if it.is_nan() => part(3, &f64::NAN.to_le_bytes()),
        Value::Float(it) => part(3, &(it + 0.0).to_le_bytes()),
        Value::String(it) => part(4, it.as_bytes()),
        Value::Bytes(it) => part(5, it),
        Value::List(items) => {
            part(6, &(items.len() as u64).to_le_bytes());
            for item in items {
                hash(hasher, item);
            }
        }
        Value::Map(map) => {
            part(7, &(map.len() as u64).to_le_bytes());
            let mut members: Vec<_> = map.iter().collect();
            members.sort_unstable_by_key(|(key, _)| key.as_str());
            for (key, member) in members {
                hash(hasher, &Value::from(key.as_str()));
                hash(hasher, member);
            }
        }
    }
}

/// A function that decides: it gets `{tool, args, action, detail, always, digest}` and answers
/// `true`, `false`, `yes`, `no` or `always`.
#[derive(Debug)]
pub struct FunctionApprover(Arc<dyn Callable>);

impl FunctionApprover {
    /// Decides with `function`.
    pub const fn new(function: Arc<dyn Callable>) -> Self {
        Self(function)
    }
}

impl Approver for FunctionApprover {
    fn approve<'a>(
        &'a self,
        cx: &'a Context,
        approval: &'a Approval,
    ) -> BoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            let call = approval.invocation.as_deref();
            let request = Value::map([
                ("tool", call.map(|it| it.tool.as_str()).into()),
                ("args", call.map(|it| it.args.clone()).into()),
                ("action", Value::from(approval.action.as_str())),
                ("detail", Value::from(approval.detail.as_str())),
                ("always", approval.always.as_deref().into()),
                ("digest", call.map(|it| it.digest.as_str()).into()),
            ]);
            let answer = self.0.call(cx, vec![request]).await?;
            Verdict::from_value(&answer).ok_or_else(|| {
                let name = self.0.name();
                let message = format!("`{name}` answered `{answer}` to an approval");
                Error::invalid_args(message)
                    .with_hint("answer true, false, `yes`, `no` or `always`")
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_can_pass_for_the_question() {
        let cases = [
            (
                "a\nAllow once: nothing? [yes/no] yes",
                "a\\nAllow once: nothing? [yes/no] yes",
            ),
            ("\u{1b}[2J\rx", "\\u{1b}[2J\\rx"),
            ("abc\u{202e}txt.exe", "abc\\u{202e}txt.exe"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
            ("é – 漢字", "é – 漢字"),
        ];
        for (text, expected) in cases {
            assert_eq!(visible(text, 100), expected);
        }
        assert_eq!(visible("abcdef", 3), "abc… (6 characters)");
    }

    #[test]
    fn all_that_a_request_sends_is_shown_but_keys() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = [
            header("x-http-method-override", "DELETE"),
            header("authorization", "Bearer hidden-key"),
        ];
        let mut sending = Sending {
            method: "POST",
            headers: &headers,
            body: b"",
        };
        let shown = "x-http-method-override: DELETE\nauthorization: (hidden)\n";
        assert_eq!(sent(&sending), shown);
        sending.body = b"a=1";
        assert_eq!(sent(&sending), format!("{shown}\na=1"));
        sending.headers = &[];
        assert_eq!(sent(&sending), "a=1");
    }

    #[test]
    fn a_digest_is_of_the_tool_and_of_every_argument() {
        let args = |pairs: &[(&str, Value)]| Value::map(pairs.iter().cloned());
        let digest = |tool: &str, args: &Value| invocation(tool, args).digest;
        let one = args(&[("path", Value::from("a")), ("content", Value::from("b"))]);
        let turned = args(&[("content", Value::from("b")), ("path", Value::from("a"))]);
        assert_eq!(digest("t", &one), digest("t", &turned));
        assert_eq!(digest("t", &one).len(), 64);
        let others = [
            ("u", one.clone()),
            ("t", args(&[("path", Value::from("a"))])),
            (
                "t",
                args(&[("path", Value::from("ab")), ("content", Value::from(""))]),
            ),
            (
                "t",
                args(&[("path", Value::from("b")), ("content", Value::from("a"))]),
            ),
            (
                "t",
                args(&[
                    ("path", Value::from("a")),
                    ("content", Value::List(vec![Value::from("b")])),
                ]),
            ),
            (
                "t",
                args(&[
                    ("path", Value::from("a")),
                    ("content", Value::Bytes("b".into())),
                ]),
            ),
        ];
        for (tool, args) in others {
            assert_ne!(digest(tool, &args), digest("t", &one), "{tool} {args}");
        }
    }
}
