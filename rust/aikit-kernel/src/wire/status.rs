//! `status`, `iopub_welcome`, and the error shape which all replies share.

use aikit_core::Error;
use serde::{Deserialize, Serialize};

/// What the kernel is doing.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutionState {
    /// The process came up.
    Starting,
    /// A request is being handled.
    Busy,
    /// The request was handled.
    Idle,
}

/// Broadcast before and after every request.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Status {
    /// What the kernel is doing.
    pub execution_state: ExecutionState,
}

/// Greets a new subscriber of the iopub socket.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct IopubWelcome {
    /// The topic it subscribed to; empty for everything.
    pub subscription: String,
}

/// An error as every Jupyter reply carries it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Failure {
    /// Code of the error's kind; `KeyboardInterrupt` when the user pressed stop.
    pub ename: String,
    /// The message.
    pub evalue: String,
    /// Lines for people: name and message, the frames of the script, the hint.
    pub traceback: Vec<String>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let ename = error.kind().ename();
        let mut traceback = vec![format!("{ename}: {}", error.message())];
        traceback.extend(error.traceback().iter().cloned());
        traceback.extend(error.hint().map(|hint| format!("hint: {hint}")));
        Self {
            ename: ename.to_owned(),
            evalue: error.message().to_owned(),
            traceback,
        }
    }
}

/// The answer of a request that failed as such: unknown, malformed, or refused.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Refusal {
    /// The only form.
    Error(Failure),
}

#[cfg(test)]
mod tests {
    use aikit_core::ErrorKind;

    use super::*;

    #[test]
    fn a_traceback_has_the_name_the_frames_and_the_hint() {
        let error = Error::new(ErrorKind::Script, "attempt to call a nil value")
            .with_traceback(vec!["cell [1]:2: in function `f`".to_owned()])
            .with_hint("define it first");
        let failure = Failure::from(&error);
        assert_eq!(failure.ename, "script");
        assert_eq!(
            failure.traceback,
            [
                "script: attempt to call a nil value",
                "cell [1]:2: in function `f`",
                "hint: define it first",
            ]
        );
    }
}
