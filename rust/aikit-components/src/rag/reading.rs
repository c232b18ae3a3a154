//! One reading of the history at a time, shared by all who wait for it.

use std::sync::{Arc, Mutex, PoisonError};

use aikit_core::{Error, Result};
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared, WeakShared},
};

type Reading<T> = BoxFuture<'static, Result<T, Arc<Error>>>;

/// The reading that is under way, for all who wait for it. It ends when nobody does.
#[derive(Debug)]
pub(super) struct Readings<T: Clone>(Mutex<Option<WeakShared<Reading<T>>>>);

impl<T: Clone> Default for Readings<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone + Send + Sync + 'static> Readings<T> {
    /// What a reading answers that began after this call; `begin` begins one.
    pub(super) async fn follow<F>(&self, begin: impl Fn() -> F + Sync) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let (reading, is_mine) = self.reading(&begin);
        let mut outcome = reading.await;
        if !is_mine {
            // It may have begun before the last write; whatever is under way now began later.
            outcome = self.reading(&begin).0.await;
        }
        outcome.map_err(|error| Error::from_value(&error.to_value()))
    }

    /// The reading under way, or a new one and `true`.
    fn reading<F>(&self, begin: &impl Fn() -> F) -> (Shared<Reading<T>>, bool)
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = reading.as_ref().and_then(WeakShared::upgrade);
        if let Some(under_way) = under_way.filter(|it| it.peek().is_none()) {
            return (under_way, false);
        }
        let fresh = begin().map(|outcome| outcome.map_err(Arc::new));
        let fresh = fresh.boxed().shared();
        *reading = fresh.downgrade();
        (fresh, true)
    }
}
