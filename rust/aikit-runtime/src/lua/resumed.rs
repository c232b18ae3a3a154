//! Coroutines of the script that somebody has resumed and waits for.
//!
//! A coroutine that waits for an asynchronous function, or was preempted, has yielded, and so has
//! everyone who had resumed it: to Lua it is suspended. To the script it is active, because the
//! `coroutine.resume` that it runs in has not come back. Code of another task or shell that ran
//! meanwhile and resumed it would get what is not meant for it, and lose it for the other.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
};

thread_local! {
    static RESUMED: RefCell<Resumed> = RefCell::default();
}

/// Coroutines by their addresses; each lives as long as it stands here, because what resumed it
/// keeps it.
#[derive(Debug, Default)]
struct Resumed {
    /// In which function that the engine drives each of them was resumed.
    inside: HashMap<usize, usize>,
    /// The same the other way round.
    of: HashMap<usize, HashSet<usize>>,
}

impl Resumed {
    fn insert(&mut self, coroutine: usize, driven: usize) {
        self.remove(coroutine);
        self.inside.insert(coroutine, driven);
        self.of.entry(driven).or_default().insert(coroutine);
    }

    fn remove(&mut self, coroutine: usize) {
        let Some(driven) = self.inside.remove(&coroutine) else {
            return;
        };
        if let Some(all) = self.of.get_mut(&driven) {
            all.remove(&coroutine);
            if all.is_empty() {
                self.of.remove(&driven);
            }
        }
    }

    fn end(&mut self, driven: usize) {
        for coroutine in self.of.remove(&driven).into_iter().flatten() {
            self.inside.remove(&coroutine);
        }
    }
}

/// Whoever has resumed this coroutine, inside of the function `driven`, waits for it.
pub(super) fn wait_for(coroutine: usize, driven: usize) {
    RESUMED.with_borrow_mut(|resumed| resumed.insert(coroutine, driven));
}

/// Whoever has resumed this coroutine goes on with it.
pub(super) fn go_on(coroutine: usize) {
    RESUMED.with_borrow_mut(|resumed| resumed.remove(coroutine));
}

/// A function that the engine drove has ended, and nobody inside of it waits any more.
pub(super) fn end(driven: usize) {
    // Where the thread ends, its variables may be gone.
    let _ = RESUMED.try_with(|resumed| resumed.borrow_mut().end(driven));
}

/// Whether somebody waits for this coroutine.
pub(super) fn is_waited_for(coroutine: usize) -> bool {
    RESUMED.with_borrow(|resumed| {
        // Mostly there are none, and a coroutine is resumed in a fraction of a microsecond.
        !resumed.inside.is_empty() && resumed.inside.contains_key(&coroutine)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coroutine_is_free_once_its_resumer_goes_on_or_has_ended() {
        let mut resumed = Resumed::default();
        resumed.insert(1, 10);
        resumed.insert(2, 10);
        resumed.insert(3, 20);
        resumed.remove(1);
        assert!(!resumed.inside.contains_key(&1));
        resumed.end(10);
        assert_eq!(resumed.inside, HashMap::from([(3, 20)]));
        resumed.end(20);
        assert!(resumed.inside.is_empty() && resumed.of.is_empty());
    }

    #[test]
    fn a_coroutine_that_was_freed_can_be_resumed_by_another() {
        let mut resumed = Resumed::default();
        resumed.insert(1, 10);
        resumed.insert(1, 20);
        resumed.end(10);
        assert!(resumed.inside.contains_key(&1));
        resumed.remove(1);
        assert!(resumed.inside.is_empty() && resumed.of.is_empty());
    }
}
