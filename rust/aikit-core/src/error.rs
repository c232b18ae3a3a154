//! The one error type of aikit and the table of its kinds.

use std::{fmt, sync::Arc, time::Duration};

use crate::{quote, value::Value};

/// Shorthand for a result that fails with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync>;
type SharedSource = Arc<dyn std::error::Error + Send + Sync>;

/// What went wrong, why, and what a caller may do about it.
///
/// One pointer wide, so that a `Result` on a hot path stays small.
pub struct Error(Box<Parts>);

struct Parts {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    source: Option<SharedSource>,
    run: Option<Value>,
    traceback: Vec<String>,
    retry: Retry,
    is_noticed: bool,
    is_by_user: bool,
}

/// Whether and when the call that failed is worth another attempt.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Retry {
    /// What [`ErrorKind::is_retryable`] says.
    #[default]
    ByKind,
    /// Not before this time has passed: what the other side asked for.
    After(Duration),
    /// Not by waiting: somebody has to do something first.
    Never,
}

impl Error {
    /// Creates an error of `kind`; `message` starts in lower case and has no full stop. What it
    /// quotes between backticks is cut to what a person reads, see [`quote::cut_quotes`].
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            kind,
            message: quote::cut_quotes(message.into()),
            hint: None,
            source: None,
            run: None,
            traceback: Vec::new(),
            retry: Retry::ByKind,
            is_noticed: false,
            is_by_user: false,
        }))
    }

    /// [`ErrorKind::Interrupted`] because a user pressed stop, unlike an error of this kind that
    /// somebody's code raises: it ends the call, whoever is asked around it.
    pub fn interrupted(message: impl Into<String>) -> Self {
        let mut error = Self::new(ErrorKind::Interrupted, message);
        error.0.is_by_user = true;
        error
    }

    /// Shorthand for [`ErrorKind::InvalidArgs`].
    pub fn invalid_args(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgs, message)
    }

    /// Shorthand for [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Shorthand for [`ErrorKind::Internal`]: a bug of aikit, with the line that asks for a report.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message).with_hint(
            "this is a bug of aikit: please report it with the cell or call that led here",
        )
    }

    /// Says what the caller can do; one sentence, lower case, no full stop.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(quote::cut_quotes(hint.into()));
        self
    }

    /// Attaches the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// Attaches what a run had done when it failed: attempts, usage, messages so far.
    #[must_use]
    pub fn with_run(mut self, run: Value) -> Self {
        self.0.run = Some(run);
        self
    }

    /// Attaches the frames of the script, outermost last, one a line.
    #[must_use]
    pub fn with_traceback(mut self, traceback: Vec<String>) -> Self {
        self.0.traceback = traceback;
        self
    }

    /// Says whether another attempt is worth it, where the kind does not say so itself.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Says that hooks have been told of the limit that this error is about.
    #[must_use]
    pub(crate) fn noticed(mut self) -> Self {
        self.0.is_noticed = true;
        self
    }

    /// Whether hooks have been told of it.
    pub(crate) fn is_noticed(&self) -> bool {
        self.0.is_noticed
    }

    /// The same error once more, for who wants to give it to several; they share its source.
    #[must_use]
    pub fn copy(&self) -> Self {
        let parts = &self.0;
        Self(Box::new(Parts {
            kind: parts.kind,
            message: parts.message.clone(),
            hint: parts.hint.clone(),
            source: parts.source.clone(),
            run: parts.run.clone(),
            traceback: parts.traceback.clone(),
            retry: parts.retry,
            is_noticed: parts.is_noticed,
            is_by_user: parts.is_by_user,
        }))
    }

    /// Whether a user pressed stop, see [`Error::interrupted`].
    pub fn is_by_user(&self) -> bool {
        self.0.is_by_user
    }

    /// Whether and when another attempt is worth it.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// The kind, for callers that branch.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What went wrong, without the hint.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What the caller can do, when there is something.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// What a run had done when it failed.
    pub fn run(&self) -> Option<&Value> {
        self.0.run.as_ref()
    }

    /// Frames of the script that failed, when a script did.
    pub fn traceback(&self) -> &[String] {
        &self.0.traceback
    }

    /// The error as data, for pipes and logs: kind, message, hint, run and traceback.
    pub fn to_value(&self) -> Value {
        let optional = |text: Option<&str>| text.map_or(Value::Null, Value::from);
        Value::map([
            ("kind", Value::from(self.kind().code())),
            ("message", Value::from(self.message())),
            ("hint", optional(self.hint())),
            ("run", self.run().cloned().unwrap_or(Value::Null)),
            (
                "traceback",
                self.traceback()
                    .iter()
                    .map(|line| Value::from(line.as_str()))
                    .collect(),
            ),
        ])
    }

    /// Reads what [`Error::to_value`] wrote; an unknown kind becomes `internal`.
    pub fn from_value(value: &Value) -> Self {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let kind = text("kind")
            .and_then(ErrorKind::from_code)
            .unwrap_or(ErrorKind::Internal);
        let mut error = Self::new(
            kind,
            text("message").unwrap_or("an error without a message"),
        );
        error.0.hint = text("hint").map(str::to_owned);
        error.0.run = value.get("run").filter(|run| !run.is_null()).cloned();
        error.0.traceback = value
            .get("traceback")
            .and_then(Value::as_list)
            .into_iter()
            .flatten()
            .filter_map(|line| line.as_str().map(str::to_owned))
            .collect();
        error
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("hint", &self.0.hint)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            std::io::ErrorKind::StorageFull => ErrorKind::NoSpace,
            _ => ErrorKind::Io,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}

// One row per kind, so that a new kind cannot get a code and miss its exception or exit status.
macro_rules! error_kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident => $code:literal, $python:literal, $also:literal, $parent:literal, $exit:literal, $retryable:literal;)+) => {
        /// Stable classification of an [`Error`].
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum ErrorKind { $($(#[doc = $doc])+ $kind,)+ }

        impl ErrorKind {
            /// Every kind, in the order of the reference page.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// Machine-readable code; never changes once released.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$kind => $code),+ }
            }

            /// Name of the Python exception class that carries this kind.
            pub const fn python_class(self) -> &'static str {
                match self { $(Self::$kind => $python),+ }
            }

            /// Built-in Python exception the class also derives from; empty for none.
            pub const fn python_also(self) -> &'static str {
                match self { $(Self::$kind => $also),+ }
            }

            /// aikit's own class it derives from: `AikitError` or the class of a wider kind.
            pub const fn python_parent(self) -> &'static str {
                match self { $(Self::$kind => $parent),+ }
            }

            /// Exit status of the command line.
            pub const fn exit_status(self) -> u8 {
                match self { $(Self::$kind => $exit),+ }
            }

            /// Whether the same call may succeed later.
            pub const fn is_retryable(self) -> bool {
                match self { $(Self::$kind => $retryable),+ }
            }

            /// One sentence for the reference page.
            pub const fn summary(self) -> &'static str {
                match self { $(Self::$kind => concat!($($doc),+)),+ }
            }
        }
    };
}

impl ErrorKind {
    /// Finds a kind by its code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }

    /// The `ename` of a Jupyter error: the code, but `KeyboardInterrupt` where a user pressed stop.
    pub const fn ename(self) -> &'static str {
        match self {
            Self::Interrupted => "KeyboardInterrupt",
            other => other.code(),
        }
    }
}

error_kinds! {
    /// The arguments do not fit the schema.
    InvalidArgs => "invalid_args", "InvalidArgsError", "ValueError", "AikitError", 2, false;
    /// The configuration is wrong.
    Config => "config", "ConfigError", "ValueError", "AikitError", 2, false;
    /// What was named does not exist.
    NotFound => "not_found", "NotFoundError", "LookupError", "AikitError", 3, false;
    /// A policy forbids the action.
    Denied => "denied", "DeniedError", "PermissionError", "AikitError", 4, false;
    /// The action needs an approval that nobody could give.
    ApprovalNeeded => "approval_needed", "ApprovalNeededError", "", "AikitError", 4, false;
    /// A key, a program or an optional part is missing here.
    Unavailable => "unavailable", "UnavailableError", "", "AikitError", 5, false;
    /// The deadline passed.
    Timeout => "timeout", "DeadlineError", "TimeoutError", "AikitError", 6, true;
    /// The caller cancelled the work.
    Cancelled => "cancelled", "CancelledError", "", "AikitError", 130, false;
    /// The user pressed stop.
    Interrupted => "interrupted", "InterruptedRunError", "KeyboardInterrupt", "AikitError", 130, false;
    /// A limit on requests, tokens, money, memory, steps or output was reached.
    LimitExceeded => "limit_exceeded", "LimitExceededError", "", "AikitError", 7, false;
    /// The model or its provider failed.
    Model => "model", "ModelError", "", "AikitError", 8, false;
    /// The provider refused the key.
    ModelAuth => "auth", "ModelAuthError", "", "ModelError", 8, false;
    /// The provider limits the rate of requests.
    RateLimited => "rate_limited", "RateLimitedError", "", "ModelError", 8, true;
    /// The prompt is longer than the model's context.
    ContextTooLong => "context_too_long", "ContextTooLongError", "", "ModelError", 8, false;
    /// The provider's content filter refused.
    ContentFiltered => "content_filtered", "ContentFilteredError", "", "ModelError", 8, false;
    /// The provider cannot be reached or is overloaded.
    ProviderUnavailable => "provider_unavailable", "ProviderUnavailableError", "", "ModelError", 8, true;
    /// The provider answered with something that is not a valid response.
    BadResponse => "bad_response", "BadResponseError", "", "ModelError", 8, false;
    /// The model's output does not fit the schema that was asked for.
    OutputInvalid => "output_invalid", "OutputError", "", "AikitError", 8, false;
    /// A tool failed.
    ToolFailed => "tool_failed", "ToolError", "", "AikitError", 9, false;
    /// A tool asks the model to correct its arguments.
    ToolRetry => "tool_retry", "Retry", "", "ToolError", 9, false;
    /// The network failed.
    Network => "network", "NetworkError", "ConnectionError", "AikitError", 10, true;
    /// Reading or writing failed.
    Io => "io", "StorageIOError", "OSError", "AikitError", 11, false;
    /// No space is left on the device.
    NoSpace => "no_space", "NoSpaceError", "", "StorageIOError", 11, false;
    /// A compare-and-set found another revision.
    Conflict => "conflict", "ConflictError", "", "AikitError", 12, true;
    /// Another process holds the store.
    Locked => "locked", "LockedError", "", "AikitError", 12, true;
    /// A stored record is damaged.
    CorruptRecord => "corrupt_record", "CorruptError", "", "AikitError", 13, false;
    /// A store came up empty or short.
    DataLossSuspected => "data_loss_suspected", "DataLossSuspectedError", "", "CorruptError", 13, false;
    /// A file was written by a newer version.
    VersionMismatch => "version_mismatch", "VersionMismatchError", "", "CorruptError", 13, false;
    /// A cassette holds no answer for this request.
    CassetteMiss => "cassette_miss", "CassetteMissError", "", "AikitError", 14, false;
    /// A replay took another path than the recording.
    NonDeterministic => "non_deterministic", "NonDeterministicError", "", "AikitError", 14, false;
    /// The user's script failed.
    Script => "script", "ScriptError", "RuntimeError", "AikitError", 1, false;
    /// A message or file of another program is malformed.
    Protocol => "protocol", "ProtocolError", "", "AikitError", 15, false;
    /// A bug of aikit.
    Internal => "internal", "InternalError", "", "AikitError", 70, false;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_classes_are_unique() {
        for (index, kind) in ErrorKind::ALL.iter().enumerate() {
            assert_eq!(ErrorKind::from_code(kind.code()), Some(*kind));
            for other in &ErrorKind::ALL[..index] {
                assert_ne!(other.python_class(), kind.python_class());
            }
        }
    }

    #[test]
    fn a_parent_class_stands_before_its_children() {
        for (index, kind) in ErrorKind::ALL.iter().enumerate() {
            let parent = kind.python_parent();
            let known = ErrorKind::ALL[..index]
                .iter()
                .any(|it| it.python_class() == parent);
            assert!(
                parent == "AikitError" || known,
                "{parent} of {}",
                kind.code()
            );
        }
    }

    #[test]
    fn an_error_survives_the_way_through_a_value() {
        let error = Error::new(ErrorKind::Timeout, "`x` took longer than 3 s")
            .with_hint("raise `timeout_s`")
            .with_traceback(vec!["cell [1]:2".to_owned()]);
        let read = Error::from_value(&error.to_value());
        assert_eq!(
            (read.kind(), read.message()),
            (ErrorKind::Timeout, "`x` took longer than 3 s")
        );
        assert_eq!(
            (read.hint(), read.traceback().len()),
            (Some("raise `timeout_s`"), 1)
        );
    }
}
