//! The one place where hooks stand around a call: before, the call, after or error.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    HookAction, HookId, HookPoint, Subject,
    action::RETRIES_MAX,
    ask::{ask, blame, failed},
    breaker::Fault,
    registry::Registration,
};
use crate::{Error, ErrorKind, Result, Value, context::Context, error::Retry, value::Map};

/// A call that hooks may stand around.
///
/// Only [`Hooked::call`] runs where no hook is registered; nothing is built for hooks then.
pub trait Hooked: Send {
    /// What the call works on; each attempt begins with a copy of it.
    type Input: Clone + Send + Sync;
    /// What it gives.
    type Output: Send + Sync;

    /// What hooks see of the input: the fields that the [`Subject`] names.
    ///
    /// # Errors
    ///
    /// What cannot be made data, which ends the call.
    fn show(&self, input: &Self::Input) -> Result<Map>;

    /// Takes fields that a hook changed into the input.
    ///
    /// # Errors
    ///
    /// What does not fit; that is the hook's failure, and the input stays as it was.
    fn change(&self, input: &mut Self::Input, changes: Map) -> Result<()> {
        let (_, _) = (input, changes);
        Ok(())
    }

    /// The call.
    fn call(&mut self, input: Self::Input) -> impl Future<Output = Result<Self::Output>> + Send;

    /// What hooks see of the result.
    ///
    /// # Errors
    ///
    /// What cannot be made data, which ends the call.
    fn result(&self, output: &Self::Output) -> Result<Value>;

    /// The result that a hook gives in place of the call, or of what the call gave (`previous`);
    /// null stands for an empty one.
    ///
    /// # Errors
    ///
    /// What is no result; that is the hook's failure.
    fn replace(
        &self,
        input: &Self::Input,
        value: Value,
        previous: Option<&Self::Output>,
    ) -> Result<Self::Output>;

    /// Whether the call can be made once more; not when part of its result was shown already.
    fn can_repeat(&self) -> bool {
        true
    }
}

/// Makes a call with the hooks of `cx` around it.
///
/// # Errors
///
/// The call's own; that of a hook which stops it (`denied`, or the kind it names), which refuses to
/// let it go on, or which is required and failed.
pub async fn around<C: Hooked>(
    cx: &Context,
    subject: &'static Subject,
    call: &mut C,
    input: C::Input,
) -> Result<C::Output> {
    if !cx.hooks().concerns(subject) {
        return call.call(input).await;
    }
    // Boxed: where there are no hooks, the future stays as small as the call's own.
    let result = Box::pin(Around::new(cx, subject, call, input).run()).await;
    match result {
        Err(error) => Err(notice_limit(cx, subject, error).await),
        result => result,
    }
}

/// Tells the hooks of `point` what happened; none of them can change it.
pub async fn notify(cx: &Context, point: HookPoint, data: impl FnOnce() -> Map) {
    let hooks = cx.hooks().at(point, cx.asking().map(Arc::as_ref));
    if hooks.is_empty() {
        return;
    }
    let data = shown(cx, point, data());
    for hook in hooks {
        // What they only observe is an error already, which says more than theirs.
        if let Err(error) = ask(cx, &hook, point, &data).await {
            tracing::debug!(%error, "a hook did not observe");
        }
    }
}

/// Tells hooks that a limit ended a call; once, where the error is seen first.
async fn notice_limit(cx: &Context, subject: &Subject, mut error: Error) -> Error {
    let is_new = error.kind() == ErrorKind::LimitExceeded && !error.is_noticed();
    if is_new && cx.hooks().has(HookPoint::LimitExceeded) && cx.check().is_ok() {
        error = error.noticed();
        notify(cx, HookPoint::LimitExceeded, || {
            let name = cx.node().map(|node| &*node.name);
            Map::from_iter([
                ("subject".to_owned(), Value::from(subject.name)),
                ("name".to_owned(), Value::from(name)),
                ("error".to_owned(), describe(&error)),
            ])
        })
        .await;
    }
    error
}

/// An error as hooks see it.
fn describe(error: &Error) -> Value {
    let after = match error.retry() {
        Retry::After(pause) => Some(pause.as_secs_f64()),
        _ => None,
    };
    let is_retryable = match error.retry() {
        Retry::ByKind => error.kind().is_retryable(),
        Retry::After(_) => true,
        Retry::Never => false,
    };
    let known = [
        ("kind", Value::from(error.kind().code())),
        ("message", Value::from(error.message())),
        ("hint", Value::from(error.hint())),
        ("retryable", Value::from(is_retryable)),
        ("retry_after_s", Value::from(after)),
    ];
    Value::map(known.into_iter().filter(|(_, value)| !value.is_null()))
}

/// The data of a point, with what every point shows.
fn shown(cx: &Context, point: HookPoint, mut data: Map) -> Value {
    data.insert("point".to_owned(), Value::from(point.name()));
    data.insert("caller".to_owned(), Value::from(cx.caller().name()));
    Value::Map(data)
}

fn set(data: &mut Value, field: &str, value: Value) {
    if let Value::Map(map) = data {
        map.insert(field.to_owned(), value);
    }
}

/// Why a round of hooks ended before the next part of the call.
enum Ended<T> {
    /// With this result.
    Given(T),
    /// The call begins anew after a pause.
    Again(Duration),
}

struct Around<'a, C: Hooked> {
    cx: &'a Context,
    subject: &'static Subject,
    call: &'a mut C,
    original: C::Input,
    /// How often each hook asked for another attempt, and all of them together.
    asked_again: HashMap<HookId, u32>,
    attempt: u32,
}

impl<'a, C: Hooked> Around<'a, C> {
    fn new(
        cx: &'a Context,
        subject: &'static Subject,
        call: &'a mut C,
        original: C::Input,
    ) -> Self {
        Self {
            cx,
            subject,
            call,
            original,
            asked_again: HashMap::new(),
            attempt: 0,
        }
    }

    async fn run(mut self) -> Result<C::Output> {
        loop {
            match self.attempt().await? {
                Ended::Given(output) => return Ok(output),
                Ended::Again(pause) => {
                    let clock = self.cx.clock();
                    self.cx.within(clock.sleep(pause)).await?;
                }
            }
        }
    }

    /// One attempt, hooks included.
    async fn attempt(&mut self) -> Result<Ended<C::Output>> {
        self.attempt += 1;
        let started = self.cx.clock().monotonic();
        let mut input = self.original.clone();
        let mut data = shown(self.cx, self.subject.before(), self.call.show(&input)?);
        set(&mut data, "attempt", Value::from(self.attempt));
        let output = match self.before(&mut input, &mut data).await? {
            Some(Ended::Again(pause)) => return Ok(Ended::Again(pause)),
            Some(Ended::Given(output)) => output,
            None => match self.call.call(input.clone()).await {
                Ok(output) => output,
                Err(error) => {
                    self.passed(&mut data, started);
                    match self.failed(&input, &mut data, error).await? {
                        Ended::Given(output) => output,
                        Ended::Again(pause) => return Ok(Ended::Again(pause)),
                    }
                }
            },
        };
        self.passed(&mut data, started);
        self.after(&input, &mut data, output).await
    }

    fn passed(&self, data: &mut Value, started: Duration) {
        let elapsed = self.cx.clock().monotonic().saturating_sub(started);
        set(data, "elapsed_s", Value::from(elapsed.as_secs_f64()));
    }

    fn hooks(&self, point: HookPoint) -> Vec<Arc<Registration>> {
        self.cx.hooks().at(point, self.cx.asking().map(Arc::as_ref))
    }

    async fn before(
        &mut self,
        input: &mut C::Input,
        data: &mut Value,
    ) -> Result<Option<Ended<C::Output>>> {
        let point = self.subject.before();
        for hook in self.hooks(point) {
            let blamed = match ask(self.cx, &hook, point, data).await? {
                HookAction::Continue => continue,
                HookAction::Modify(changes) => {
                    let mut other = input.clone();
                    match self.call.change(&mut other, changes.clone()) {
                        Ok(()) => {
                            *input = other;
                            for (field, value) in changes {
                                set(data, &field, value);
                            }
                            continue;
                        }
                        Err(error) => error,
                    }
                }
                HookAction::Stop { reason, kind } => {
                    return Err(stopped(&hook, point, &reason, kind));
                }
                HookAction::Retry { delay, max } => {
                    if self.may_begin_anew(&hook, max) {
                        return Ok(Some(Ended::Again(delay)));
                    }
                    let reason = format!("it asked {max} times to wait");
                    return Err(stopped(&hook, point, &reason, ErrorKind::Denied));
                }
                HookAction::Replace(value) => match self.call.replace(input, value, None) {
                    Ok(output) => return Ok(Some(Ended::Given(output))),
                    Err(error) => error,
                },
                HookAction::Skip => match self.call.replace(input, Value::Null, None) {
                    Ok(output) => return Ok(Some(Ended::Given(output))),
                    Err(error) => error,
                },
            };
            self.blame(&hook, point, blamed)?;
        }
        Ok(None)
    }

    async fn after(
        &mut self,
        input: &C::Input,
        data: &mut Value,
        mut output: C::Output,
    ) -> Result<Ended<C::Output>> {
        let point = self.subject.after();
        let hooks = self.hooks(point);
        if hooks.is_empty() {
            return Ok(Ended::Given(output));
        }
        let field = self.subject.result;
        set(data, "point", Value::from(point.name()));
        set(data, field, self.call.result(&output)?);
        for hook in hooks {
            let (value, goes_on) = match ask(self.cx, &hook, point, data).await? {
                HookAction::Continue => continue,
                HookAction::Stop { reason, kind } => {
                    return Err(stopped(&hook, point, &reason, kind));
                }
                HookAction::Retry { delay, max } => {
                    if self.may_begin_anew(&hook, max) {
                        return Ok(Ended::Again(delay));
                    }
                    continue;
                }
                HookAction::Modify(mut changes) => {
                    (changes.shift_remove(field).unwrap_or_default(), true)
                }
                HookAction::Replace(value) => (value, false),
                HookAction::Skip => (Value::Null, false),
            };
            match self.call.replace(input, value, Some(&output)) {
                Ok(replaced) => output = replaced,
                Err(error) => {
                    self.blame(&hook, point, error)?;
                    continue;
                }
            }
            if !goes_on {
                break;
            }
            set(data, field, self.call.result(&output)?);
        }
        Ok(Ended::Given(output))
    }

    async fn failed(
        &mut self,
        input: &C::Input,
        data: &mut Value,
        error: Error,
    ) -> Result<Ended<C::Output>> {
        let point = self.subject.error();
        let hooks = self.hooks(point);
        // Who cancelled the call, or set its deadline, is not asked whether it is one.
        if hooks.is_empty() || self.cx.check().is_err() {
            return Err(error);
        }
        set(data, "point", Value::from(point.name()));
        set(data, "error", describe(&error));
        let mut ended = Err(error);
        for hook in hooks {
            let value = match ask(self.cx, &hook, point, data).await? {
                HookAction::Continue | HookAction::Modify(_) => continue,
                HookAction::Stop { reason, kind } => {
                    let stop = stopped(&hook, point, &reason, kind);
                    return Err(match ended {
                        Err(error) => stop.with_source(error),
                        Ok(()) => stop,
                    });
                }
                HookAction::Retry { delay, max } => {
                    if self.may_begin_anew(&hook, max) {
                        return Ok(Ended::Again(delay));
                    }
                    continue;
                }
                HookAction::Replace(value) => value,
                HookAction::Skip => Value::Null,
            };
            match self.call.replace(input, value, None) {
                Ok(output) => {
                    if let Value::Map(map) = data {
                        map.shift_remove("error");
                    }
                    return Ok(Ended::Given(output));
                }
                Err(wrong) => {
                    if let Err(required) = self.blame(&hook, point, wrong) {
                        ended = Err(required);
                        break;
                    }
                }
            }
        }
        ended.map(|()| Ended::Again(Duration::ZERO))
    }

    fn blame(&self, hook: &Registration, point: HookPoint, error: Error) -> Result<()> {
        let error = failed(hook, point, error);
        blame(self.cx, hook, point, (error, Fault::Failed))
    }

    /// Whether `hook` may have the call begin anew, for which it may ask `max` times.
    fn may_begin_anew(&mut self, hook: &Registration, max: u32) -> bool {
        let all: u32 = self.asked_again.values().sum();
        let own = self.asked_again.entry(hook.id).or_default();
        if *own >= max || all >= RETRIES_MAX || !self.call.can_repeat() {
            return false;
        }
        *own += 1;
        true
    }
}

fn stopped(hook: &Registration, point: HookPoint, reason: &str, kind: ErrorKind) -> Error {
    let message = format!(
        "hook `{}` at `{}` stopped the call: {reason}",
        hook.name,
        point.name()
    );
    Error::new(kind, message)
}
