//! Metadata of Contexts on their way over a pipe: each end sends what is new once, and from then on
//! only where the other end keeps it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use aikit_core::{Error, ErrorKind, Result, value::Map};
use tokio::sync::mpsc;

use super::{Frame, closed, encode, malformed};

/// Most bytes that the metadata of one Context may have as a frame.
const BYTES_MAX: usize = 1 << 20;

/// Metadata that each end keeps of the other; one more takes the place of the first.
const PLACES: usize = 16;

/// Where an end keeps some metadata; `None` for none at all.
pub(super) type Place = Option<usize>;

/// Frames on their way to the other end, in their order.
#[derive(Debug)]
pub(super) struct Outgoing {
    // Unbounded, because a release must not wait; calls in flight are bounded.
    frames: mpsc::UnboundedSender<Vec<u8>>,
    sent: Mutex<Kept>,
}

impl Outgoing {
    /// Frames go to `frames`.
    pub(super) fn new(frames: mpsc::UnboundedSender<Vec<u8>>) -> Self {
        let sent = Mutex::default();
        Self { frames, sent }
    }

    /// Sends a frame that belongs to no Context.
    ///
    /// # Errors
    ///
    /// `limit_exceeded` for one that is too large, `unavailable` when the pipe is closed.
    pub(super) fn send(&self, frame: &Frame) -> Result<()> {
        self.frames.send(encode(frame)?).map_err(|_| closed())
    }

    /// Nothing is sent between what [`Sending::place`] answers and the frame that names it.
    pub(super) fn begin(&self) -> Sending<'_> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        Sending { way: self, sent }
    }
}

/// A frame that belongs to a Context is about to be sent.
pub(super) struct Sending<'a> {
    way: &'a Outgoing,
    sent: MutexGuard<'a, Kept>,
}

impl Sending<'_> {
    /// Where the other end keeps `metadata`, which is sent when it is new there.
    ///
    /// # Errors
    ///
    /// `limit_exceeded` for what is too large, `unavailable` when the pipe is closed.
    pub(super) fn place(&mut self, metadata: &Map) -> Result<Place> {
        if metadata.is_empty() {
            return Ok(None);
        }
        let kept = self.sent.maps.iter().position(|it| it == metadata);
        if kept.is_some() {
            return Ok(kept);
        }
        let place = self.sent.next;
        let frame = Frame::Metadata {
            place,
            metadata: metadata.clone(),
        };
        let bytes = encode(&frame)?;
        check_size(bytes.len())?;
        self.way.frames.send(bytes).map_err(|_| closed())?;
        self.sent.keep(place, metadata.clone())?;
        Ok(Some(place))
    }

    /// Sends the frame.
    ///
    /// # Errors
    ///
    /// As [`Outgoing::send`].
    pub(super) fn send(self, frame: &Frame) -> Result<()> {
        self.way.send(frame)
    }
}

fn check_size(bytes: usize) -> Result<()> {
    if bytes <= BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "the metadata of the Context have {bytes} bytes; {BYTES_MAX} go along with a call to \
         another process"
    );
    Err(Error::new(ErrorKind::LimitExceeded, message)
        .with_hint("keep what is large in the state or a file, and its name in the metadata"))
}

/// Metadata in their places, as both ends know them.
#[derive(Debug, Default)]
pub(super) struct Kept {
    maps: Vec<Map>,
    next: usize,
}

impl Kept {
    /// Puts metadata in a place.
    ///
    /// # Errors
    ///
    /// `protocol` for another place than the next one.
    pub(super) fn keep(&mut self, place: usize, metadata: Map) -> Result<()> {
        if place != self.next {
            return Err(malformed(format!("metadata came for the place {place}")));
        }
        match self.maps.get_mut(place) {
            Some(kept) => *kept = metadata,
            None => self.maps.push(metadata),
        }
        self.next = (place + 1) % PLACES;
        Ok(())
    }

    /// As [`Kept::keep`], of what has come from the other end.
    ///
    /// # Errors
    ///
    /// `protocol`, also for more than would be sent.
    pub(super) fn receive(&mut self, place: usize, metadata: Map) -> Result<()> {
        let bytes = rmp_serde::to_vec_named(&metadata).map(|it| it.len());
        if bytes.is_ok_and(|it| it <= BYTES_MAX) {
            return self.keep(place, metadata);
        }
        Err(malformed("metadata came that are too large"))
    }

    /// What is in a place.
    ///
    /// # Errors
    ///
    /// `protocol` when nothing is.
    pub(super) fn at(&self, place: Place) -> Result<Map> {
        let Some(place) = place else {
            return Ok(Map::new());
        };
        let kept = self.maps.get(place).cloned();
        kept.ok_or_else(|| malformed(format!("there are no metadata in the place {place}")))
    }
}

#[cfg(test)]
mod tests {
    use aikit_core::Value;

    use super::*;

    fn map(number: usize) -> Map {
        Map::from_iter([("number".to_owned(), Value::from(number))])
    }

    /// The places of these metadata, and how many frames were sent for them.
    fn places(outgoing: &Outgoing, numbers: &[usize]) -> Vec<Place> {
        let place = |number: &usize| outgoing.begin().place(&map(*number)).unwrap();
        numbers.iter().map(place).collect()
    }

    #[test]
    fn what_the_other_end_has_is_not_sent_again() {
        let (frames, mut sent) = mpsc::unbounded_channel();
        let outgoing = Outgoing::new(frames);
        assert_eq!(outgoing.begin().place(&Map::new()).unwrap(), None);
        assert_eq!(
            places(&outgoing, &[7, 7, 8, 7]),
            [Some(0), Some(0), Some(1), Some(0)]
        );
        assert_eq!(sent.len(), 2);
        // One more than there are places takes the first, which is then sent anew.
        let many: Vec<usize> = (100..100 + PLACES - 1).collect();
        places(&outgoing, &many);
        assert_eq!(places(&outgoing, &[8, 7]), [Some(1), Some(1)]);
        let mut kept = Kept::default();
        let mut count = 0;
        while let Ok(bytes) = sent.try_recv() {
            let Frame::Metadata { place, metadata } = rmp_serde::from_slice(&bytes[4..]).unwrap()
            else {
                panic!("another frame");
            };
            kept.keep(place, metadata).unwrap();
            count += 1;
        }
        assert_eq!(count, 2 + PLACES);
        assert_eq!(kept.at(Some(1)).unwrap(), map(7));
        assert!(kept.at(Some(PLACES)).is_err() && kept.keep(0, map(0)).is_err());
    }

    #[test]
    fn metadata_that_are_too_large_are_refused_and_named() {
        let (frames, sent) = mpsc::unbounded_channel();
        let outgoing = Outgoing::new(frames);
        let large = Value::from("x".repeat(BYTES_MAX));
        let error = outgoing
            .begin()
            .place(&Map::from_iter([("large".to_owned(), large)]))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert!(error.message().contains("metadata of the Context"));
        assert!(error.hint().is_some() && sent.is_empty());
        assert_eq!(places(&outgoing, &[1]), [Some(0)]);
    }
}
