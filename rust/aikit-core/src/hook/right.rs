//! Who may take a hook away: what scripts, programs and agents change in a registry.

use std::sync::{Arc, atomic::Ordering};

use super::{Hook, HookId, HookInfo, HookOptions, HookRegistry, Points, registry::Registration};
use crate::{
    Error, ErrorKind, Result,
    context::{Caller, Context},
};

impl HookRegistry {
    /// Adds a hook for whoever runs in `cx`.
    ///
    /// # Errors
    ///
    /// As of [`HookRegistry::register`]; `denied` where it would take the place of one that
    /// is not for `cx` to take away: an agent takes away none that is required, and in a sealed
    /// registry nobody takes away what the host requires.
    pub fn register_for(
        &self,
        cx: &Context,
        points: impl Into<Points>,
        options: HookOptions,
        hook: Arc<dyn Hook>,
    ) -> Result<HookInfo> {
        let may_take = |replaced: &Registration| self.may_take(cx, replaced);
        self.add(points.into(), options, hook, may_take)
    }

    /// Removes every hook named `name` for whoever runs in `cx`; answers how many there were.
    ///
    /// # Errors
    ///
    /// `denied`, and nothing is removed, for one that is not for `cx` to take away, see
    /// [`HookRegistry::register_for`].
    pub fn unregister_for(&self, cx: &Context, name: &str) -> Result<usize> {
        self.take_for(cx, |it| it.name == name)
    }

    /// Removes one registration for whoever runs in `cx`; `false` when it was not there. What took
    /// its place stays.
    ///
    /// # Errors
    ///
    /// As of [`HookRegistry::unregister_for`].
    pub fn remove_for(&self, cx: &Context, id: HookId) -> Result<bool> {
        self.take_for(cx, |it| it.id == id).map(|it| it > 0)
    }

    fn take_for(&self, cx: &Context, is_meant: impl Fn(&Registration) -> bool) -> Result<usize> {
        let hooks = self.hooks();
        let meant = hooks.iter().filter(|it| is_meant(it));
        let mut taken = Vec::new();
        for hook in meant {
            self.may_take(cx, hook)?;
            taken.push(hook.id);
        }
        Ok(self.remove_if(|it| taken.contains(&it.id)))
    }

    /// Keeps what the host requires: nobody but the host takes it away from now on.
    pub fn seal(&self) {
        self.is_sealed.store(true, Ordering::Relaxed);
    }

    /// Whether who runs in `cx` may take a hook away. What guards a session is not for an agent to
    /// switch off, and where others than the owner of the machine use it, what its host requires
    /// is not for them either.
    fn may_take(&self, cx: &Context, hook: &Registration) -> Result<()> {
        let is_host = matches!(hook.options.origin, "config" | "rust");
        let refused = match cx.caller() {
            _ if !hook.options.required => return Ok(()),
            Caller::Agent => "an agent cannot take away what is required",
            Caller::User if is_host && self.is_sealed.load(Ordering::Relaxed) => {
                "the host of this session requires it"
            }
            Caller::User => return Ok(()),
        };
        let message = format!("the hook `{}` stays: {refused}", hook.name);
        Err(Error::new(ErrorKind::Denied, message)
            .with_hint("ask the user of the session, or who set it up, to take it away"))
    }

    /// The hooks named in `names` that who runs in `cx` may take away.
    pub(crate) fn takeable(&self, cx: &Context, names: &[String]) -> Vec<HookId> {
        let hooks = self.hooks();
        let meant = hooks.iter().filter(|it| names.contains(&it.name));
        meant
            .filter(|it| self.may_take(cx, it).is_ok())
            .map(|it| it.id)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        context::Overrides,
        hook::{HookPoint, tests::Answer},
    };

    fn add(registry: &HookRegistry, point: HookPoint, name: &str) -> HookInfo {
        registry
            .register(point, HookOptions::named(name), Answer::go_on())
            .unwrap()
    }

    fn names(registry: &HookRegistry) -> Vec<String> {
        registry.list().into_iter().map(|it| it.name).collect()
    }

    /// Who acts: an agent or the user of the session.
    fn acting(caller: Caller) -> Context {
        Context::create(Overrides {
            caller: Some(caller),
            ..Overrides::default()
        })
    }

    #[test]
    fn a_registration_takes_away_itself_and_not_what_took_its_place() {
        let (registry, user) = (HookRegistry::default(), acting(Caller::User));
        let first = add(&registry, HookPoint::ToolBefore, "a");
        let second = add(&registry, HookPoint::ToolBefore, "a");
        assert!(!registry.remove_for(&user, first.id).unwrap());
        assert_eq!(names(&registry), ["a"]);
        assert!(registry.remove_for(&user, second.id).unwrap());
        assert!(names(&registry).is_empty());
    }

    #[test]
    fn what_is_required_is_not_for_an_agent_or_a_guest_to_take() {
        let registry = HookRegistry::default();
        let guard = |origin| HookOptions {
            required: true,
            origin,
            ..HookOptions::named(origin)
        };
        let point = HookPoint::ToolBefore;
        let (user, agent) = (acting(Caller::User), acting(Caller::Agent));
        let denied = |error: Error| {
            assert_eq!(error.kind(), ErrorKind::Denied);
            assert!(error.message().contains("`config`") || error.message().contains("`lua`"));
        };
        for (is_sealed, origin) in [(false, "config"), (false, "lua"), (true, "config")] {
            if is_sealed {
                registry.seal();
            }
            let info = registry.register(point, guard(origin), Answer::go_on());
            let info = info.unwrap();
            let refused = if is_sealed { &user } else { &agent };
            // Neither by its name nor by its identity nor by taking its place.
            denied(registry.unregister_for(refused, origin).unwrap_err());
            denied(registry.remove_for(refused, info.id).unwrap_err());
            let other = HookOptions::named(origin);
            denied(
                registry
                    .register_for(refused, point, other, Answer::go_on())
                    .unwrap_err(),
            );
            assert_eq!(names(&registry), [origin]);
            if !is_sealed {
                assert_eq!(registry.unregister_for(&user, origin).unwrap(), 1);
            }
        }
        // What the user of a served session added is the user's.
        registry
            .register_for(&user, point, guard("lua"), Answer::go_on())
            .unwrap();
        assert_eq!(registry.unregister_for(&user, "lua").unwrap(), 1);
        assert_eq!(registry.unregister("config"), 1);
        // What guards nothing is anybody's.
        add(&registry, point, "seen");
        assert_eq!(registry.unregister_for(&agent, "seen").unwrap(), 1);
    }
}
