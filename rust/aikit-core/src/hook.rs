//! Hooks: points where others may answer for a call, change its result or stop it.

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;

use crate::{
    Error, ErrorKind, Result, Value,
    context::{Context, Overrides},
};

/// How long one hook may take.
const HOOK_TIME_MAX: Duration = Duration::from_secs(30);

// One row per point, so that a name is written once.
macro_rules! hook_points {
    ($($(#[$doc:meta])+ $point:ident => $name:literal,)+) => {
        /// Where a hook is asked.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum HookPoint { $($(#[$doc])+ $point,)+ }

        impl HookPoint {
            /// Every point, in the order of the reference page.
            pub const ALL: &[Self] = &[$(Self::$point),+];

            /// Name used in scripts, such as `tool.before`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$point => $name),+ }
            }
        }
    };
}

hook_points! {
    /// Before a tool is called: `{tool, args, caller}`.
    ToolBefore => "tool.before",
    /// After a tool answered: `{tool, args, result}`.
    ToolAfter => "tool.after",
    /// Before a model is called: `{model, messages}`.
    ModelBefore => "model.before",
    /// After a model answered: `{model, response}`.
    ModelAfter => "model.after",
    /// Before an agent runs: `{agent, input}`.
    AgentBefore => "agent.before",
    /// After an agent ran: `{agent, output}`.
    AgentAfter => "agent.after",
}

impl HookPoint {
    /// Finds a point by its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|point| point.name() == name)
    }
}

/// What a hook answers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum HookAction {
    /// Go on as if there were no hook.
    Continue,
    /// Take this as the result; before a call, the call is left out.
    Replace(Value),
    /// End the call with an error that carries this reason.
    Stop(String),
}

/// Something that is asked at a point.
pub trait Hook: fmt::Debug + Send + Sync {
    /// Looks at what is about to happen, or has happened, and answers.
    fn call<'a>(&'a self, cx: &'a Context, data: &'a Value) -> BoxFuture<'a, Result<HookAction>>;
}

/// Identity of a registration, for [`HookRegistry::unregister`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HookId(u64);

#[derive(Clone, Debug)]
struct Registration {
    id: HookId,
    point: HookPoint,
    name: String,
    priority: i32,
    hook: Arc<dyn Hook>,
}

/// The hooks of one host, asked in the order of their priorities, highest first.
#[derive(Debug, Default)]
pub struct HookRegistry {
    next: AtomicU64,
    hooks: RwLock<Vec<Registration>>,
}

impl HookRegistry {
    /// Adds a hook. Among equal priorities the earlier registration is asked first.
    pub fn register(
        &self,
        point: HookPoint,
        name: impl Into<String>,
        priority: i32,
        hook: Arc<dyn Hook>,
    ) -> HookId {
        let id = HookId(self.next.fetch_add(1, Ordering::Relaxed));
        let registration = Registration {
            id,
            point,
            name: name.into(),
            priority,
            hook,
        };
        let mut hooks = self.hooks.write().unwrap_or_else(PoisonError::into_inner);
        let index = hooks.partition_point(|it| it.priority >= priority);
        hooks.insert(index, registration);
        id
    }

    /// Removes a hook; `false` when it was not there.
    pub fn unregister(&self, id: HookId) -> bool {
        let mut hooks = self.hooks.write().unwrap_or_else(PoisonError::into_inner);
        let before = hooks.len();
        hooks.retain(|it| it.id != id);
        hooks.len() < before
    }

    /// Whether a hook is registered at `point`, so that a caller can spare building data.
    pub fn has(&self, point: HookPoint) -> bool {
        let hooks = self.hooks.read().unwrap_or_else(PoisonError::into_inner);
        hooks.iter().any(|it| it.point == point)
    }

    /// Asks the hooks of `point` one after the other; the first that replaces ends the round.
    /// `None` means that every hook let the call go on.
    ///
    /// # Errors
    ///
    /// `denied` when a hook stops the call; a hook's own error, or `timeout` after 30 s.
    pub async fn ask(&self, cx: &Context, point: HookPoint, data: &Value) -> Result<Option<Value>> {
        let asked: Vec<Registration> = {
            let hooks = self.hooks.read().unwrap_or_else(PoisonError::into_inner);
            hooks
                .iter()
                .filter(|it| it.point == point)
                .cloned()
                .collect()
        };
        for Registration { name, hook, .. } in asked {
            let limited = cx.child(Overrides {
                timeout: Some(HOOK_TIME_MAX),
                ..Overrides::default()
            });
            let answered = limited.within(hook.call(&limited, data)).await;
            let action = match answered.and_then(|action| action) {
                // The caller's own deadline says so itself.
                Err(error) if error.kind() == ErrorKind::Timeout && is_late(&limited, cx) => {
                    return Err(took_too_long(&name, point, error));
                }
                outcome => outcome?,
            };
            match action {
                HookAction::Continue => {}
                HookAction::Replace(value) => return Ok(Some(value)),
                HookAction::Stop(reason) => {
                    let message = format!(
                        "hook `{name}` at `{}` stopped the call: {reason}",
                        point.name()
                    );
                    return Err(Error::new(ErrorKind::Denied, message));
                }
            }
        }
        Ok(None)
    }
}

fn is_late(limited: &Context, cx: &Context) -> bool {
    limited.remaining().is_some_and(|it| it.is_zero()) && cx.check().is_ok()
}

fn took_too_long(name: &str, point: HookPoint, error: Error) -> Error {
    let message = format!(
        "hook `{name}` at `{}` took longer than {HOOK_TIME_MAX:?}",
        point.name()
    );
    Error::new(ErrorKind::Timeout, message)
        .with_hint("let the hook do less, or remove it")
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::FutureExt as _;

    use super::*;
    use crate::clock::{Clock, SystemClock, UnixMicros};

    #[derive(Debug)]
    struct Answer(HookAction);

    impl Hook for Answer {
        fn call<'a>(&'a self, _: &'a Context, _: &'a Value) -> BoxFuture<'a, Result<HookAction>> {
            async { Ok(self.0.clone()) }.boxed()
        }
    }

    fn ask(registry: &HookRegistry) -> Result<Option<Value>> {
        let cx = Context::default();
        registry
            .ask(&cx, HookPoint::ToolBefore, &Value::Null)
            .now_or_never()
            .unwrap()
    }

    #[test]
    fn the_highest_priority_answers_first() {
        let registry = HookRegistry::default();
        let add = |priority, action| {
            registry.register(
                HookPoint::ToolBefore,
                "h",
                priority,
                Arc::new(Answer(action)),
            )
        };
        let stop = add(1, HookAction::Stop("no".to_owned()));
        assert_eq!(ask(&registry).unwrap_err().kind(), ErrorKind::Denied);
        add(5, HookAction::Replace(Value::Int(5)));
        add(9, HookAction::Continue);
        assert_eq!(ask(&registry).unwrap(), Some(Value::Int(5)));
        assert!(registry.unregister(stop) && !registry.unregister(stop));
    }

    #[test]
    fn a_point_without_hooks_lets_the_call_go_on() {
        let registry = HookRegistry::default();
        assert!(!registry.has(HookPoint::ToolBefore));
        assert_eq!(ask(&registry).unwrap(), None);
    }

    /// A clock on which all waiting is over at once.
    #[derive(Debug, Default)]
    struct Jumping(Mutex<Duration>);

    impl Clock for Jumping {
        fn now(&self) -> UnixMicros {
            0
        }

        fn monotonic(&self) -> Duration {
            *self.0.lock().unwrap()
        }

        fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
            *self.0.lock().unwrap() += duration;
            futures::future::ready(()).boxed()
        }

        fn random(&self, bytes: &mut [u8]) {
            SystemClock.random(bytes);
        }
    }

    #[derive(Debug)]
    struct Endless;

    impl Hook for Endless {
        fn call<'a>(&'a self, _: &'a Context, _: &'a Value) -> BoxFuture<'a, Result<HookAction>> {
            futures::future::pending().boxed()
        }
    }

    #[test]
    fn a_hook_that_takes_too_long_is_named_unless_the_caller_is_late() {
        let registry = HookRegistry::default();
        registry.register(HookPoint::ToolBefore, "slow", 0, Arc::new(Endless));
        for (timeout, named) in [(None, true), (Some(Duration::from_secs(1)), false)] {
            let cx = Context::create(Overrides {
                clock: Some(Arc::new(Jumping::default())),
                timeout,
                ..Overrides::default()
            });
            let asked = registry.ask(&cx, HookPoint::ToolBefore, &Value::Null);
            let error = asked.now_or_never().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout);
            let expected = "hook `slow` at `tool.before` took longer than 30s";
            assert_eq!(error.message() == expected, named, "{error}");
        }
    }
}
