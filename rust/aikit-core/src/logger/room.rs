//! Memory for records: what one was written in is used again for the next one of its thread, which
//! is quicker than to ask for it and to give it back.

use std::{
    cell::RefCell,
    mem,
    ops::{Deref, DerefMut},
    thread::LocalKey,
};

/// How many of a kind a thread keeps: a record needs two sets of fields at once.
const KEPT_MAX: usize = 4;

/// What a thread keeps of a kind.
pub(super) type Kept<T> = LocalKey<RefCell<Vec<T>>>;

/// What can be used again.
pub(super) trait Reusable: Default + 'static {
    /// Where a thread keeps those that nobody uses.
    const KEPT: &'static Kept<Self>;

    /// Makes it empty; `false` when it is too large to be kept.
    fn clear(&mut self) -> bool;
}

/// Memory that goes back to its thread.
#[derive(Debug)]
pub(super) struct Room<T: Reusable>(T);

impl<T: Reusable> Default for Room<T> {
    fn default() -> Self {
        // A thread that ends keeps nothing any more.
        let kept = T::KEPT.try_with(|it| it.try_borrow_mut().ok()?.pop());
        Self(kept.ok().flatten().unwrap_or_default())
    }
}

impl<T: Reusable> Drop for Room<T> {
    fn drop(&mut self) {
        if !self.0.clear() {
            return;
        }
        let used = mem::take(&mut self.0);
        // One that finds no place is given back to the system.
        let _ = T::KEPT.try_with(|kept| {
            if let Ok(mut kept) = kept.try_borrow_mut()
                && kept.len() < KEPT_MAX
            {
                kept.push(used);
            }
        });
    }
}

impl<T: Reusable> Deref for Room<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Reusable> DerefMut for Room<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// A text whose memory is used again.
pub(super) type Text = Room<String>;

thread_local! {
    static TEXTS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

impl Reusable for String {
    const KEPT: &'static Kept<Self> = &TEXTS;

    fn clear(&mut self) -> bool {
        self.clear();
        self.capacity() <= 8 << 10
    }
}

impl<T: Reusable + Clone> Clone for Room<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::default();
        copy.0.clone_from(&self.0);
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_is_used_again_and_is_empty() {
        let mut first = Text::default();
        first.push_str("a secret");
        let place = first.as_ptr();
        drop(first);
        let second = Text::default();
        assert_eq!((second.as_ptr(), &**second), (place, ""));
    }

    #[test]
    fn a_thread_keeps_few_and_no_large_ones() {
        let mut large = Text::default();
        large.push_str(&"x".repeat(100_000));
        drop(large);
        let many: Vec<Text> = (0..100)
            .map(|_| {
                let mut text = Text::default();
                text.push('x');
                text
            })
            .collect();
        drop(many);
        TEXTS.with_borrow(|kept| {
            assert_eq!(kept.len(), KEPT_MAX);
            assert!(kept.iter().all(|it| it.capacity() < 100_000));
        });
    }
}
