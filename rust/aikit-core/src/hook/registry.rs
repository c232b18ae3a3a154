//! The hooks of one host: registered, listed, switched on again.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::{
    Asking, Hook, HookOptions, HookPoint, Points, Subject,
    breaker::{Breaker, Fault},
    options::time_limit,
};
use crate::{Error, ErrorKind, Result, Value};

/// Hooks of one registry.
pub const HOOKS_MAX: usize = 1_000;

/// Longest name of a hook in bytes.
const NAME_BYTES_MAX: usize = 200;

/// Identity of a registration.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HookId(pub(super) u64);

impl HookId {
    /// The identity that a face kept as a number.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// As a number, for a face to keep.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// A hook and how it fares.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) id: HookId,
    pub(super) name: String,
    /// Name of the procedure that a call of it is.
    pub(super) operation: Arc<str>,
    pub(super) points: Points,
    pub(super) options: HookOptions,
    pub(super) hook: Arc<dyn Hook>,
    pub(super) breaker: Breaker,
}

/// What is known about a hook.
#[derive(Clone, Debug)]
pub struct HookInfo {
    /// Identity.
    pub id: HookId,
    /// Name.
    pub name: String,
    /// Where it is asked.
    pub points: Points,
    /// How it was registered.
    pub options: HookOptions,
    /// Whether it was switched off because it kept failing.
    pub is_off: bool,
    /// How often it was asked.
    pub calls: u64,
    /// How often it failed.
    pub failures: u64,
    /// What it failed with last.
    pub last_error: Option<String>,
    /// What the hook itself tells; null for most.
    pub report: Value,
}

impl HookInfo {
    /// The same as data: `name`, `points`, `priority`, `timeout_s`, `required`, `origin`, `state`
    /// (`on` or `off`), `calls`, `failures`, `last_error`, `report`; the last
    /// two where there are any.
    pub fn to_value(&self) -> Value {
        let points = self.points.iter().map(|it| Value::from(it.name()));
        let known = [
            ("name", Value::from(self.name.as_str())),
            ("points", points.collect()),
            ("priority", Value::from(i64::from(self.options.priority))),
            ("timeout_s", Value::from(self.options.timeout.as_secs_f64())),
            ("required", Value::from(self.options.required)),
            ("origin", Value::from(self.options.origin)),
            ("state", Value::from(if self.is_off { "off" } else { "on" })),
            ("calls", Value::from(self.calls)),
            ("failures", Value::from(self.failures)),
            ("last_error", Value::from(self.last_error.clone())),
            ("report", self.report.clone()),
        ];
        Value::map(known.into_iter().filter(|(_, value)| !value.is_null()))
    }
}

impl Registration {
    fn info(&self) -> HookInfo {
        HookInfo {
            id: self.id,
            name: self.name.clone(),
            points: self.points,
            options: self.options.clone(),
            is_off: self.breaker.is_off(),
            calls: self.breaker.calls(),
            failures: self.breaker.failures(),
            last_error: self.breaker.last_error(),
            report: self.hook.report(),
        }
    }
}

pub(super) type Hooks = Arc<Vec<Arc<Registration>>>;

/// The hooks of one host, asked in the order of their priorities, highest first.
#[derive(Debug, Default)]
pub struct HookRegistry {
    next: AtomicU64,
    hooks: RwLock<Hooks>,
    /// The points at which a hook that is switched on is registered.
    asked: AtomicU64,
    /// Whether what the host requires stays, whatever scripts say.
    pub(super) is_sealed: AtomicBool,
}

impl HookRegistry {
    /// Adds a hook for the host; what scripts and programs add comes through
    /// [`HookRegistry::register_for`].
    ///
    /// # Errors
    ///
    /// `invalid_args` for a name that is none, a time limit out of its range, or no point;
    /// `limit_exceeded` for more than [`HOOKS_MAX`] hooks.
    pub fn register(
        &self,
        points: impl Into<Points>,
        options: HookOptions,
        hook: Arc<dyn Hook>,
    ) -> Result<HookInfo> {
        self.add(points.into(), options, hook, |_| Ok(()))
    }

    pub(super) fn add(
        &self,
        points: Points,
        options: HookOptions,
        hook: Arc<dyn Hook>,
        may_replace: impl Fn(&Registration) -> Result<()>,
    ) -> Result<HookInfo> {
        if points == Points::default() {
            return Err(Error::invalid_args("a hook is asked at no point")
                .with_hint("name at least one point, such as `tool.before`"));
        }
        time_limit(Some(options.timeout.as_secs_f64()))?;
        let id = HookId(self.next.fetch_add(1, Ordering::Relaxed) + 1);
        let name = match options.name.as_deref() {
            None | Some("anonymous") => format!("hook-{}", id.0),
            Some(name) => check_name(name)?.to_owned(),
        };
        let added = Arc::new(Registration {
            id,
            operation: format!("hook:{name}").into(),
            name,
            points,
            options,
            hook,
            breaker: Breaker::default(),
        });
        self.change(|hooks| {
            let is_replaced = |it: &Arc<Registration>| it.name == added.name && it.points == points;
            hooks
                .iter()
                .filter(|it| is_replaced(it))
                .try_for_each(|it| may_replace(it))?;
            hooks.retain(|it| !is_replaced(it));
            if hooks.len() >= HOOKS_MAX {
                let message = format!("there are {HOOKS_MAX} hooks already");
                return Err(Error::new(ErrorKind::LimitExceeded, message)
                    .with_hint("unregister those that are not needed any more"));
            }
            let priority = added.options.priority;
            let index = hooks.partition_point(|it| it.options.priority >= priority);
            hooks.insert(index, Arc::clone(&added));
            Ok(())
        })?;
        Ok(added.info())
    }

    /// Removes every hook named `name` for the host; answers how many there were.
    pub fn unregister(&self, name: &str) -> usize {
        self.remove_if(|it| it.name == name)
    }

    /// Removes one registration for the host; `false` when it was not there.
    pub fn remove(&self, id: HookId) -> bool {
        self.remove_if(|it| it.id == id) > 0
    }

    /// Removes the hooks of one origin.
    pub fn remove_origin(&self, origin: &str) -> usize {
        self.remove_if(|it| it.options.origin == origin)
    }

    pub(super) fn remove_if(&self, is_meant: impl Fn(&Registration) -> bool) -> usize {
        let mut removed = Vec::new();
        let ended: Result<()> = self.change(|hooks| {
            hooks.retain(|it| {
                let stays = !is_meant(it);
                if !stays {
                    removed.push(Arc::clone(it));
                }
                stays
            });
            Ok(())
        });
        debug_assert!(ended.is_ok(), "nothing here fails");
        // Dropped outside the lock: a hook may be a function of a script.
        removed.len()
    }

    /// Switches the hooks named `name` on again; answers how many there are.
    pub fn enable(&self, name: &str) -> usize {
        let hooks = self.hooks();
        let named: Vec<_> = hooks.iter().filter(|it| it.name == name).collect();
        for hook in &named {
            hook.breaker.enable();
        }
        self.refresh();
        named.len()
    }

    /// Every hook, in the order in which they are asked.
    pub fn list(&self) -> Vec<HookInfo> {
        self.hooks().iter().map(|it| it.info()).collect()
    }

    /// Whether a hook would be asked at `point`, so that a caller can spare building data.
    pub fn has(&self, point: HookPoint) -> bool {
        self.asked.load(Ordering::Relaxed) & point.mask().0 != 0
    }

    /// Whether hooks have to do with calls of this kind.
    pub fn concerns(&self, subject: &Subject) -> bool {
        let points = subject.mask() | HookPoint::LimitExceeded.mask();
        self.asked.load(Ordering::Relaxed) & points.0 != 0
    }

    /// The hooks to be asked at `point`, but those that are being asked around here: what a hook
    /// does is not shown to that hook.
    pub(super) fn at(&self, point: HookPoint, asking: Option<&Asking>) -> Vec<Arc<Registration>> {
        if !self.has(point) {
            return Vec::new();
        }
        let is_asked = |it: &&Arc<Registration>| {
            it.points.contains(point)
                && !it.breaker.is_off()
                && !asking.is_some_and(|asking| asking.includes(it.id))
        };
        self.hooks().iter().filter(is_asked).cloned().collect()
    }

    /// Notes that a hook failed; answers whether it was switched off because of it.
    pub(super) fn failed(&self, hook: &Registration, fault: Fault, message: &str) -> bool {
        let is_off = hook.breaker.failed(fault, message, hook.options.required);
        if is_off {
            self.refresh();
        }
        is_off
    }

    pub(super) fn hooks(&self) -> Hooks {
        let hooks = self.hooks.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&hooks)
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Registration>>) -> Result<()>) -> Result<()> {
        let before = {
            let mut hooks = self.hooks.write().unwrap_or_else(PoisonError::into_inner);
            let mut changed = Vec::clone(&hooks);
            change(&mut changed)?;
            let before = std::mem::replace(&mut *hooks, Arc::new(changed));
            self.note(&hooks);
            before
        };
        drop(before);
        Ok(())
    }

    fn refresh(&self) {
        // Locked, so that no change in between is forgotten.
        let hooks = self.hooks.write().unwrap_or_else(PoisonError::into_inner);
        self.note(&hooks);
    }

    fn note(&self, hooks: &[Arc<Registration>]) {
        let on = hooks.iter().filter(|it| !it.breaker.is_off());
        let points = on.fold(Points::default(), |points, it| points | it.points);
        self.asked.store(points.0, Ordering::Relaxed);
    }
}

fn check_name(name: &str) -> Result<&str> {
    let is_name = !name.trim().is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.contains(|character: char| character.is_control());
    if is_name {
        return Ok(name);
    }
    let shown: String = name.chars().take(40).collect();
    Err(
        Error::invalid_args(format!("`{}` is no name of a hook", shown.escape_debug())).with_hint(
            format!("use up to {NAME_BYTES_MAX} bytes without control characters"),
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::hook::{HOOK_TIME_MAX, tests::Answer};

    fn add(registry: &HookRegistry, point: HookPoint, name: &str, priority: i32) -> HookInfo {
        let options = HookOptions {
            priority,
            ..HookOptions::named(name)
        };
        registry.register(point, options, Answer::go_on()).unwrap()
    }

    fn names(registry: &HookRegistry) -> Vec<String> {
        registry.list().into_iter().map(|it| it.name).collect()
    }

    #[test]
    fn a_name_at_the_same_points_is_taken_over_and_at_others_it_is_not() {
        let registry = HookRegistry::default();
        add(&registry, HookPoint::ToolBefore, "a", 1);
        add(&registry, HookPoint::ToolBefore, "b", 1);
        add(&registry, HookPoint::ToolBefore, "a", 0);
        assert_eq!(names(&registry), ["b", "a"]);
        add(&registry, HookPoint::ToolAfter, "a", 0);
        assert_eq!(names(&registry), ["b", "a", "a"]);
        assert_eq!((registry.unregister("a"), registry.unregister("a")), (2, 0));
        assert_eq!(names(&registry), ["b"]);
        assert!(!registry.has(HookPoint::ToolAfter) && registry.has(HookPoint::ToolBefore));
    }

    #[test]
    fn a_hook_without_a_name_gets_a_number() {
        let registry = HookRegistry::default();
        for name in [None, Some("anonymous".to_owned())] {
            let options = HookOptions {
                name,
                ..HookOptions::default()
            };
            let added = registry.register(HookPoint::ToolBefore, options, Answer::go_on());
            assert!(registry.has(HookPoint::ToolBefore));
            assert!(registry.remove(added.unwrap().id));
        }
        assert!(!registry.has(HookPoint::ToolBefore));
    }

    #[test]
    fn what_cannot_be_registered_is_refused() {
        let registry = HookRegistry::default();
        let kind = |points: Points, options: HookOptions| {
            let added = registry.register(points, options, Answer::go_on());
            added.err().map(|error| error.kind())
        };
        let point = Points::from(HookPoint::ToolBefore);
        let wrong = Some(ErrorKind::InvalidArgs);
        assert_eq!(kind(Points::default(), HookOptions::default()), wrong);
        for name in ["", "  ", "a\nb", &"x".repeat(201)] {
            assert_eq!(kind(point, HookOptions::named(name)), wrong, "{name}");
        }
        for timeout in [Duration::ZERO, HOOK_TIME_MAX * 2] {
            let options = HookOptions {
                timeout,
                ..HookOptions::default()
            };
            assert_eq!(kind(point, options), wrong);
        }
        for _ in 0..HOOKS_MAX {
            assert_eq!(kind(point, HookOptions::default()), None);
        }
        let full = Some(ErrorKind::LimitExceeded);
        assert_eq!(kind(point, HookOptions::default()), full);
    }
}
