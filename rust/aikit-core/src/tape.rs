//! What records the calls that leave the process, and gives the recorded answers again.

use std::fmt;

use crate::{Result, Value};

/// A call as a recording knows it: what is asked, without anything that differs from run to run.
#[derive(Clone, Debug, PartialEq)]
pub struct TapeCall {
    /// What is called: `chat`, `embed` or `tool`.
    pub kind: &'static str,
    /// What it is asked.
    pub request: Value,
}

/// What the randomness of a script begins with while something is recorded or replayed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Beginning {
    /// Which recording or replay of the session it is.
    pub number: u64,
    /// The same in each replay of a recording.
    pub seed: [u8; 16],
}

/// What a recording or a replay has for a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// The outcome that was recorded.
    Recorded(Value),
    /// The call is to be made. Its outcome is kept with this number, so that it comes into the
    /// recording under which the call began, and into no later one.
    Missing(u64),
}

/// Records calls and their outcomes, or gives the outcomes that were recorded.
///
/// The one place that calls a model or a tool asks it before the call and tells it afterwards;
/// models and tools know nothing of it.
pub trait Tape: fmt::Debug + Send + Sync {
    /// Whether anything is recorded or replayed now.
    fn is_running(&self) -> bool;

    /// The recorded outcome of `call`, or that the call is to be made.
    ///
    /// # Errors
    ///
    /// `cassette_miss` when there is none and none may be made; `limit_exceeded` when a recording
    /// has no room for another call.
    fn find(&self, call: &TapeCall) -> Result<Found>;

    /// Keeps the outcome of a call that was made, where the recording that [`Tape::find`] gave the
    /// `number` of still is. The call has acted, so
    /// its caller gets the answer also where the recording has no room for it: the next call is
    /// told then, and whoever ends the recording.
    fn keep(&self, number: u64, call: TapeCall, outcome: Value);

    /// What randomness begins with; `None` while nothing is recorded or replayed.
    fn beginning(&self) -> Option<Beginning>;

    /// Remembers a value that is shown nowhere in a recording.
    fn hide(&self, secret: &str);
}
