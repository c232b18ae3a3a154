//! Waiting until functions have been given what was published.

use std::time::Duration;

use super::Context;
use crate::{Error, Result, broadcast};

impl Context {
    /// Waits until the functions that subscribed to events, and to the channels of this Context's
    /// user and conversation, have been given what was published before this call; at most
    /// `limit`, and not longer than this Context may. Answers how much they have not been given.
    ///
    /// # Errors
    ///
    /// `invalid_args` inside such a function, which would wait for itself; those of
    /// [`Context::within`].
    pub async fn flush_events(&self, limit: Option<Duration>) -> Result<u64> {
        if self.subscriber().or_else(broadcast::subscriber).is_some() {
            let message = "the function of a subscription cannot wait for itself";
            return Err(Error::invalid_args(message)
                .with_hint("call `flush` outside of functions that get events"));
        }
        let mut backlogs = self.events().backlogs();
        if let Some(session) = self.channels().and_then(|it| it.find_session(self)) {
            backlogs.extend(session.backlogs());
        }
        self.within(broadcast::flush(backlogs, limit)).await
    }
}
