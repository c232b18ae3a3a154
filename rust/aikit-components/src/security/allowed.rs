//! What users allowed for the rest of a session.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::{Mutex, PoisonError},
};

use aikit_core::Context;

/// Things that are remembered in one session, those of all its users together.
const REMEMBERED_MAX: usize = 1_000;

/// Who allowed it: a user of a tenant. What one allows holds for no other.
type Owner = (Option<String>, String);

/// What `always` allowed, for the user who said it.
#[derive(Debug)]
pub(crate) struct Allowed<K>(Mutex<HashMap<Owner, HashSet<K>>>);

impl<K> Default for Allowed<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Allowed<K> {
    /// Whether the user of `cx` allowed it.
    pub(crate) fn holds(&self, cx: &Context, key: &K) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&owner(cx)).is_some_and(|it| it.contains(key))
    }

    /// Notes that the user of `cx` allows it. Beyond 1,000 things nothing is noted, and what is
    /// alike is asked again.
    pub(crate) fn add(&self, cx: &Context, key: K) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.values().map(HashSet::len).sum::<usize>() < REMEMBERED_MAX {
            known.entry(owner(cx)).or_default().insert(key);
        }
    }
}

fn owner(cx: &Context) -> Owner {
    let principal = cx.principal();
    (principal.tenant_id.clone(), principal.id.clone())
}

#[cfg(test)]
pub(crate) mod tests {
    use aikit_core::context::{Overrides, Principal};

    use super::*;

    /// The Context of a user of a tenant.
    pub(crate) fn of(user: &str, tenant: Option<&str>) -> Context {
        let principal = Principal {
            id: user.to_owned(),
            tenant_id: tenant.map(str::to_owned),
            roles: Vec::new(),
        };
        Context::create(Overrides {
            principal: Some(principal),
            ..Overrides::default()
        })
    }

    #[test]
    fn what_one_user_allows_holds_for_no_other_and_in_no_other_tenant() {
        let allowed = Allowed::default();
        allowed.add(&of("ann", Some("a")), 1);
        assert!(allowed.holds(&of("ann", Some("a")), &1));
        for (user, tenant) in [
            ("ben", Some("a")),
            ("ann", Some("b")),
            ("ann", None),
            ("", Some("a")),
        ] {
            assert!(!allowed.holds(&of(user, tenant), &1), "{user} {tenant:?}");
        }
        assert!(!allowed.holds(&of("ann", Some("a")), &2));
    }

    #[test]
    fn what_is_remembered_is_bounded_over_all_users() {
        let allowed = Allowed::default();
        for index in 0..REMEMBERED_MAX + 10 {
            allowed.add(&of(&format!("user-{}", index % 7), None), index);
        }
        let known = allowed.0.lock().unwrap();
        let count: usize = known.values().map(HashSet::len).sum();
        assert_eq!(count, REMEMBERED_MAX);
    }
}
