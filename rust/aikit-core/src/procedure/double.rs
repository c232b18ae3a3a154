//! A test double: a procedure that gives scripted answers and records its calls.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::Procedure;
use crate::{Error, ErrorKind, Result, Value};

/// Stands in for a procedure in tests: everything around the handler (middleware, schema, time
/// limit, tracking) is real.
#[derive(Clone, Debug)]
pub struct ProcedureDouble {
    script: Arc<Mutex<Script>>,
    procedure: Procedure,
}

#[derive(Debug, Default)]
struct Script {
    answers: VecDeque<Result<Value>>,
    calls: Vec<Value>,
}

impl ProcedureDouble {
    /// A double that gives these answers, one a call.
    pub fn new(
        name: impl Into<Arc<str>>,
        answers: impl IntoIterator<Item = Result<Value>>,
    ) -> Self {
        let name = name.into();
        let script = Arc::new(Mutex::new(Script {
            answers: answers.into_iter().collect(),
            calls: Vec::new(),
        }));
        let (answering, called) = (Arc::clone(&script), Arc::clone(&name));
        let procedure = Procedure::new(name, move |_, args| {
            let mut script = lock(&answering);
            script.calls.push(args);
            let answer = script.answers.pop_front();
            std::future::ready(
                answer.unwrap_or_else(|| Err(exhausted(&called, script.calls.len()))),
            )
        });
        Self { script, procedure }
    }

    /// The procedure to use in place of the real one.
    pub const fn procedure(&self) -> &Procedure {
        &self.procedure
    }

    /// The arguments of every call so far, in order.
    pub fn calls(&self) -> Vec<Value> {
        lock(&self.script).calls.clone()
    }

    /// How many answers are left.
    pub fn remaining(&self) -> usize {
        lock(&self.script).answers.len()
    }
}

/// The error of call number `call` of the double `name`, which has no answer left.
pub fn exhausted(name: &str, call: usize) -> Error {
    let message = format!("the double `{name}` has no answer for call {call}");
    Error::new(ErrorKind::LimitExceeded, message).with_hint("give it one answer for each call")
}

fn lock(script: &Mutex<Script>) -> MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}
