//! The clock of a session with a deck: it stands still while a cassette is in.

use std::{sync::Arc, time::Duration};

use aikit_core::clock::{Clock, UnixMicros, Uuid};
use futures::future::BoxFuture;

use super::Deck;

/// Gives the time at which the cassette in the deck was recorded, and randomness that follows from
/// its seed; without a cassette, those of another clock. Pauses, durations and identities are
/// always of the other clock.
#[derive(Debug)]
pub struct DeckClock {
    deck: Arc<Deck>,
    real: Arc<dyn Clock>,
}

impl DeckClock {
    /// A clock for a session with `deck`.
    pub fn new(deck: Arc<Deck>, real: Arc<dyn Clock>) -> Self {
        Self { deck, real }
    }
}

impl Clock for DeckClock {
    fn now(&self) -> UnixMicros {
        let slot = self.deck.lock();
        slot.as_ref()
            .map_or_else(|| self.real.now(), |playing| playing.header.time)
    }

    fn monotonic(&self) -> Duration {
        self.real.monotonic()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.real.sleep(duration)
    }

    fn random(&self, bytes: &mut [u8]) {
        let mut slot = self.deck.lock();
        let Some(playing) = &mut *slot else {
            drop(slot);
            return self.real.random(bytes);
        };
        // One stream a draw: how long a draw is does not change the next one.
        let mut stream = blake3::Hasher::new_keyed(&playing.header.seed);
        stream.update(&playing.drawn.to_le_bytes());
        stream.finalize_xof().fill(bytes);
        playing.drawn += 1;
    }

    fn wall(&self) -> UnixMicros {
        self.real.wall()
    }

    fn jitter(&self) -> f64 {
        self.real.jitter()
    }

    fn uuid(&self) -> Uuid {
        self.real.uuid()
    }
}
