//! Hook points: where hooks are asked, what they see there and what they may change.

use std::fmt;

use crate::{Error, Result, Value};

/// When, around a call, a hook is asked.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Moment {
    /// The call has not begun.
    Before,
    /// It gave a result.
    After,
    /// It failed.
    Error,
    /// Something happened that can only be observed.
    Notice,
}

/// A kind of call that has a point before it, one after it and one where it fails.
#[derive(Debug, Eq, PartialEq)]
pub struct Subject {
    /// Name, such as `tool`; the points are `tool.before`, `tool.after` and `tool.error`.
    pub name: &'static str,
    /// What is done, to be put behind `before` and `after`.
    pub summary: &'static str,
    /// Fields of the data that every point of it shows.
    pub shows: &'static [&'static str],
    /// Those of them that a hook before the call may change.
    pub changes: &'static [&'static str],
    /// Field that holds the result at the point after the call.
    pub result: &'static str,
    /// Whether a hook may give the result, or leave the call out.
    pub is_replaceable: bool,
    points: [HookPoint; 3],
}

impl Subject {
    /// The point before the call.
    pub const fn before(&self) -> HookPoint {
        self.points[0]
    }

    /// The point after the call.
    pub const fn after(&self) -> HookPoint {
        self.points[1]
    }

    /// The point where the call failed.
    pub const fn error(&self) -> HookPoint {
        self.points[2]
    }

    /// All its points.
    pub(super) const fn mask(&self) -> Points {
        Points(self.points[0].mask().0 | self.points[1].mask().0 | self.points[2].mask().0)
    }
}

// One row per kind of call, so that a name is written once.
macro_rules! hook_points {
    (
        $($(#[doc = $doc:literal])+ $subject:ident: $before:ident, $after:ident, $error:ident =>
            $name:literal { shows: $shows:expr, changes: $changes:expr, result: $result:literal,
            replaceable: $replaceable:literal })+
        ; $($(#[doc = $notice_doc:literal])+ $notice:ident => $notice_name:literal $notice_shows:expr,)+
    ) => {
        /// Where a hook is asked.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum HookPoint {
            $(
                #[doc = concat!("Before", $($doc),+)]
                $before,
                #[doc = concat!("After", $($doc),+)]
                $after,
                #[doc = concat!("After a failure of", $($doc),+)]
                $error,
            )+
            $($(#[doc = $notice_doc])+ $notice,)+
        }

        $(
            #[doc = concat!("The points around", $($doc),+)]
            pub const $subject: Subject = Subject {
                name: $name,
                summary: concat!($($doc),+),
                shows: $shows,
                changes: $changes,
                result: $result,
                is_replaceable: $replaceable,
                points: [HookPoint::$before, HookPoint::$after, HookPoint::$error],
            };
        )+

        /// Every kind of call, in the order of the reference page.
        pub const SUBJECTS: &[&Subject] = &[$(&$subject),+];

        impl HookPoint {
            /// Every point, in the order of the reference page.
            pub const ALL: &[Self] = &[
                $(Self::$before, Self::$after, Self::$error,)+
                $(Self::$notice,)+
            ];

            /// Name used in scripts, such as `tool.before`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(
                        Self::$before => concat!($name, ".before"),
                        Self::$after => concat!($name, ".after"),
                        Self::$error => concat!($name, ".error"),
                    )+
                    $(Self::$notice => $notice_name,)+
                }
            }

            /// The kind of call it belongs to; `None` for what can only be observed.
            pub const fn subject(self) -> Option<&'static Subject> {
                match self {
                    $(Self::$before | Self::$after | Self::$error => Some(&$subject),)+
                    $(Self::$notice => None,)+
                }
            }

            /// When it is asked.
            pub const fn moment(self) -> Moment {
                match self {
                    $(
                        Self::$before => Moment::Before,
                        Self::$after => Moment::After,
                        Self::$error => Moment::Error,
                    )+
                    $(Self::$notice => Moment::Notice,)+
                }
            }

            /// Fields of the data it shows.
            pub fn shows(self) -> Vec<&'static str> {
                let (common, more): (&[&'static str], Vec<&'static str>) = match self {
                    $(
                        Self::$before => ($shows, vec!["attempt"]),
                        Self::$after => ($shows, vec![$result, "attempt", "elapsed_s"]),
                        Self::$error => ($shows, vec!["error", "attempt", "elapsed_s"]),
                    )+
                    $(Self::$notice => ($notice_shows, Vec::new()),)+
                };
                let common = ["point", "caller"].into_iter().chain(common.iter().copied());
                common.chain(more).collect()
            }

            /// One sentence for the reference page.
            pub fn summary(self) -> String {
                match self {
                    $(
                        Self::$before => concat!("Before", $($doc),+),
                        Self::$after => concat!("After", $($doc),+),
                        Self::$error => concat!("After a failure of", $($doc),+),
                    )+
                    $(Self::$notice => concat!($($notice_doc),+).trim_start(),)+
                }
                .to_owned()
            }
        }
    };
}

hook_points! {
    /// a cell: code of a notebook, of a script file, of a line of the shell.
    CELL: CellBefore, CellAfter, CellError => "cell" {
        shows: &["code", "name"], changes: &["code"], result: "result", replaceable: true
    }
    /// a call of a tool.
    TOOL: ToolBefore, ToolAfter, ToolError => "tool" {
        shows: &["tool", "args", "permissions"], changes: &["args"], result: "result",
        replaceable: true
    }
    /// a request to a model: `operation` is `chat` (with `messages`, `tools`, `temperature`, `max_tokens`) or `embeddings` (with `texts`).
    MODEL: ModelBefore, ModelAfter, ModelError => "model" {
        shows: &["model", "operation", "messages", "tools", "temperature", "max_tokens", "texts"],
        changes: &["messages", "temperature", "max_tokens", "texts"], result: "response",
        replaceable: true
    }
    /// a run of an agent.
    AGENT: AgentBefore, AgentAfter, AgentError => "agent" {
        shows: &["agent", "input"], changes: &["input"], result: "output", replaceable: true
    }
    /// a step of an agent: one answer of its model and the tool calls it asks for; `result` is the model's text.
    AGENT_STEP: AgentStepBefore, AgentStepAfter, AgentStepError => "agent.step" {
        shows: &["agent", "step", "messages"], changes: &["messages"], result: "result",
        replaceable: true
    }
    /// an ingest of documents.
    RAG_INGEST: RagIngestBefore, RagIngestAfter, RagIngestError => "rag.ingest" {
        shows: &["index", "sources", "metadata"], changes: &["sources", "metadata"],
        result: "report", replaceable: true
    }
    /// a search in documents.
    RAG_RETRIEVE: RagRetrieveBefore, RagRetrieveAfter, RagRetrieveError => "rag.retrieve" {
        shows: &["index", "query", "options"], changes: &["query", "options"], result: "hits",
        replaceable: true
    }
    /// a read of the state: `operation` is `get` or `keys` (with `prefix`).
    STATE_READ: StateReadBefore, StateReadAfter, StateReadError => "state.read" {
        shows: &["scope", "operation", "key", "prefix"], changes: &[], result: "value",
        replaceable: true
    }
    /// a write to the state: `operation` is `set`, `delete`, `update` or `compare_and_set`; `result` is what the caller gets.
    STATE_WRITE: StateWriteBefore, StateWriteAfter, StateWriteError => "state.write" {
        shows: &["scope", "operation", "key", "value"], changes: &["value"], result: "result",
        replaceable: false
    }
    /// the start of a session: `operation` is `create` or `resume`.
    SESSION_START: SessionStartBefore, SessionStartAfter, SessionStartError => "session.start" {
        shows: &["operation", "session", "name", "tags", "metadata"],
        changes: &["tags", "metadata"], result: "result", replaceable: false
    }
    /// the end of a session.
    SESSION_END: SessionEndBefore, SessionEndAfter, SessionEndError => "session.end" {
        shows: &["session"], changes: &[], result: "result", replaceable: false
    }
    /// a checkpoint of a session.
    SESSION_CHECKPOINT: SessionCheckpointBefore, SessionCheckpointAfter, SessionCheckpointError =>
        "session.checkpoint" {
        shows: &["session", "name"], changes: &["name"], result: "checkpoint", replaceable: false
    }
    ;
    /// The policy refused an action; a hook observes it and cannot allow it.
    SecurityViolation => "security.violation"
        &["permission", "target", "rule", "decision", "digest"],
    /// A call ended because a limit was reached: requests, tokens, money, steps, output.
    LimitExceeded => "limit.exceeded" &["subject", "name", "error"],
}

impl HookPoint {
    /// Finds a point by its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|point| point.name() == name)
    }

    /// What is known about it as data: `name`, `summary`, `shows`, `changes`, `is_replaceable`.
    pub fn to_value(self) -> Value {
        let names = |names: &[&'static str]| names.iter().map(|it| Value::from(*it)).collect();
        let is_replaceable = self.subject().is_some_and(|it| it.is_replaceable);
        Value::map([
            ("name", Value::from(self.name())),
            ("summary", Value::from(self.summary())),
            ("shows", names(&self.shows())),
            ("changes", names(self.changes())),
            ("is_replaceable", Value::from(is_replaceable)),
        ])
    }

    /// Fields that a hook may change here.
    pub fn changes(self) -> &'static [&'static str] {
        match (self.subject(), self.moment()) {
            (Some(subject), Moment::Before) => subject.changes,
            (Some(subject), Moment::After) if subject.is_replaceable => {
                std::slice::from_ref(&subject.result)
            }
            _ => &[],
        }
    }

    /// The set of this one.
    pub(super) const fn mask(self) -> Points {
        Points(1 << self as u64)
    }
}

/// A set of points.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct Points(pub(super) u64);

impl Points {
    /// Reads the name of a point, or a pattern in which `*` stands for anything: `tool.*` is every
    /// point of tools, `*.error` each one where a call fails.
    ///
    /// # Errors
    ///
    /// `not_found` when no point fits.
    pub fn parse(pattern: &str) -> Result<Self> {
        let fitting = HookPoint::ALL
            .iter()
            .copied()
            .filter(|point| fits(pattern, point.name()));
        let found: Self = fitting.collect();
        if found.0 != 0 {
            return Ok(found);
        }
        let shown: String = pattern.chars().take(60).collect();
        let first: String = shown.chars().take_while(|it| *it != '.').take(3).collect();
        let similar = HookPoint::ALL.iter().map(|point| point.name());
        let similar: Vec<String> = similar
            .filter(|name| first.len() == 3 && name.starts_with(&first))
            .map(|name| format!("`{name}`"))
            .collect();
        let hint = if similar.is_empty() {
            "the points are listed by `points`, for example `tool.before` and `model.error`"
                .to_owned()
        } else {
            format!("did you mean one of {}?", similar.join(", "))
        };
        let message = format!("no hook point `{}`", shown.escape_debug());
        Err(Error::not_found(message).with_hint(hint))
    }

    /// Reads one name or pattern, or a list of them.
    ///
    /// # Errors
    ///
    /// As of [`Points::parse`], `invalid_args` for anything else.
    pub fn from_value(value: &Value) -> Result<Self> {
        let wrong = || {
            Error::invalid_args("a hook point is a text, or a list of texts")
                .with_hint("for example `tool.before`, or `tool.*`")
        };
        match value {
            Value::String(pattern) => Self::parse(pattern),
            Value::List(patterns) => patterns.iter().try_fold(Self::default(), |points, it| {
                Ok(points | Self::parse(it.as_str().ok_or_else(wrong)?)?)
            }),
            _ => Err(wrong()),
        }
    }

    /// Whether `point` is in it.
    pub const fn contains(self, point: HookPoint) -> bool {
        self.0 & point.mask().0 != 0
    }

    /// Its points, in the order of the reference page.
    pub fn iter(self) -> impl Iterator<Item = HookPoint> {
        let all = HookPoint::ALL.iter().copied();
        all.filter(move |point| self.contains(*point))
    }
}

impl From<HookPoint> for Points {
    fn from(point: HookPoint) -> Self {
        point.mask()
    }
}

impl FromIterator<HookPoint> for Points {
    fn from_iter<I: IntoIterator<Item = HookPoint>>(points: I) -> Self {
        Self(points.into_iter().fold(0, |mask, it| mask | it.mask().0))
    }
}

impl std::ops::BitOr for Points {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(HookPoint::name))
            .finish()
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            // The pattern has few stars and the name few letters.
            (0..=name.len()).any(|skip| name.get(skip..).is_some_and(|name| fits(rest, name)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_fits_in_a_set_and_has_its_own_name() {
        assert!(HookPoint::ALL.len() <= 64);
        for (index, point) in HookPoint::ALL.iter().enumerate() {
            assert_eq!(*point as usize, index);
            assert_eq!(HookPoint::from_name(point.name()), Some(*point));
            assert!(!point.summary().starts_with(' '), "{}", point.summary());
        }
    }

    #[test]
    fn the_points_are_those_that_the_page_lists() {
        let names: Vec<_> = HookPoint::ALL
            .iter()
            .copied()
            .map(HookPoint::name)
            .collect();
        #[rustfmt::skip]
        let expected = [
            "cell.before", "cell.after", "cell.error",
            "tool.before", "tool.after", "tool.error",
            "model.before", "model.after", "model.error",
            "agent.before", "agent.after", "agent.error",
            "agent.step.before", "agent.step.after", "agent.step.error",
            "rag.ingest.before", "rag.ingest.after", "rag.ingest.error",
            "rag.retrieve.before", "rag.retrieve.after", "rag.retrieve.error",
            "state.read.before", "state.read.after", "state.read.error",
            "state.write.before", "state.write.after", "state.write.error",
            "session.start.before", "session.start.after", "session.start.error",
            "session.end.before", "session.end.after", "session.end.error",
            "session.checkpoint.before", "session.checkpoint.after", "session.checkpoint.error",
            "security.violation", "limit.exceeded",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_pattern_stands_for_every_point_that_fits() {
        let names = |pattern: &str| {
            let points = Points::parse(pattern).unwrap();
            points.iter().map(HookPoint::name).collect::<Vec<_>>()
        };
        assert_eq!(names("tool.*"), ["tool.before", "tool.after", "tool.error"]);
        assert_eq!(
            names("rag.*.before"),
            ["rag.ingest.before", "rag.retrieve.before"]
        );
        assert_eq!(names("limit.exceeded"), ["limit.exceeded"]);
        assert_eq!(names("*").len(), HookPoint::ALL.len());
        assert_eq!(names("*.error").len(), 12);
        for wrong in ["", "tool", "tools.before", "workflow.before", "*.none"] {
            assert!(Points::parse(wrong).is_err(), "{wrong}");
        }
        let error = Points::parse("tools.before").unwrap_err();
        assert!(error.hint().unwrap().contains("`tool.before`"), "{error:?}");
    }
}
