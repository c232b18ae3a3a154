//! A switch that closes the network for a whole session.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use aikit_core::{
    Context,
    services::{Decision, Permission, Policy, Target},
};

/// Closes the network while anybody wants it closed.
#[derive(Debug, Default)]
pub struct NetworkSwitch {
    /// How many want it closed.
    closed: AtomicUsize,
}

impl NetworkSwitch {
    /// Closes the network until [`NetworkSwitch::open`] is called as often.
    pub fn close(&self) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }

    /// Takes back one [`NetworkSwitch::close`].
    pub fn open(&self) {
        let less = |count: usize| Some(count.saturating_sub(1));
        let _before = self
            .closed
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst) > 0
    }
}

/// The decisions of another policy, but nothing leaves while the switch is closed.
#[derive(Debug)]
pub struct OfflinePolicy {
    inner: Arc<dyn Policy>,
    switch: Arc<NetworkSwitch>,
}

impl OfflinePolicy {
    /// Puts `switch` before `inner`.
    pub fn new(inner: Arc<dyn Policy>, switch: Arc<NetworkSwitch>) -> Self {
        Self { inner, switch }
    }
}

impl Policy for OfflinePolicy {
    fn decide(&self, cx: &Context, permission: Permission, target: Target<'_>) -> Decision {
        use Permission::{Model, Network, NetworkWrite, Process};
        // A program could go out by itself.
        let leaves = matches!(permission, Model | Network | NetworkWrite | Process);
        if leaves && self.switch.is_closed() {
            return Decision::Deny {
                rule: "the network is closed by `no_network`".to_owned(),
                hint: "replay a cassette that has the call, or call it outside `no_network`"
                    .to_owned(),
            };
        }
        self.inner.decide(cx, permission, target)
    }

    fn scope(&self, permission: Permission, target: Target<'_>) -> Option<String> {
        self.inner.scope(permission, target)
    }

    fn remember(&self, cx: &Context, permission: Permission, target: Target<'_>) {
        self.inner.remember(cx, permission, target);
    }
}
