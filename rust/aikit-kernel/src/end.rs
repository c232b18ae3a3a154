//! The end of the kernel: its parts share one time limit, so that the process is gone within five
//! seconds of whatever asked for it.

use std::{sync::Arc, time::Duration};

use aikit_core::{ErrorKind, broadcast, clock::Clock};
use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tracing::{debug, warn};

use crate::{
    handlers::{
        Desk,
        execute::{self, Finished},
        lifecycle::interrupt_until_stopped,
    },
    kernel::Stop,
    wire::{Content, lifecycle::ShutdownReply, status::ExecutionState},
};

/// How long the end may take, all in all; the rest of the five seconds is for the interpreter.
const LIMIT: Duration = Duration::from_millis(4_500);
/// Of that, what is left for the host of the kernel whatever happens: spans, kept events.
const HOST_LIMIT: Duration = Duration::from_millis(500);
/// Of that, what the last messages may take to leave the process.
const SEND_LIMIT: Duration = Duration::from_secs(1);
/// Of that, what may be taken to hand over what cells left.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(1);
/// Of that, what running cells may take to stop.
const CELLS_LIMIT: Duration = Duration::from_secs(2);

/// An end that has begun.
pub(crate) struct End {
    clock: Arc<dyn Clock>,
    deadline: Duration,
}

impl End {
    pub(crate) fn begin(desk: &Desk) -> Self {
        let clock = Arc::clone(desk.context.clock());
        let deadline = clock.monotonic() + LIMIT;
        Self { clock, deadline }
    }

    /// What is left of the whole.
    pub(crate) fn time_left(&self) -> Duration {
        self.deadline.saturating_sub(self.clock.monotonic())
    }

    /// What is left when so much of it is kept back.
    fn without(&self, kept: Duration) -> Duration {
        self.time_left().saturating_sub(kept)
    }

    /// Stops the cells that run; one that does not stop is left behind.
    pub(crate) async fn stop_cells(
        &self,
        desk: &Arc<Desk>,
        running: &mut FuturesUnordered<BoxFuture<'static, Finished>>,
    ) {
        if running.is_empty() {
            return;
        }
        interrupt_until_stopped(desk);
        let ending = async {
            while let Some(finished) = running.next().await {
                execute::finish(desk, finished);
            }
        };
        if tokio::time::timeout(CELLS_LIMIT, ending).await.is_err() {
            debug!("a running cell does not stop and is left behind");
        }
    }

    /// Gives what cells left to those it is for, beside each other: events to the functions that
    /// subscribed to them, cells to the store.
    pub(crate) async fn hand_over(&self, desk: &Desk) {
        let limit = HAND_OVER_LIMIT.min(self.without(HOST_LIMIT + SEND_LIMIT));
        let events = async {
            let flushed = desk.context.flush_events(Some(limit)).await;
            if let Some(left) = flushed.ok().filter(|it| *it > 0) {
                warn!(left, "{}", broadcast::LEFT);
            }
            // What cells left running in the background ends too.
            desk.context
                .cancel(ErrorKind::Cancelled, "the kernel shuts down");
        };
        let cells = async {
            if let Some(archive) = &desk.shells.archive {
                archive.flush(limit).await;
            }
        };
        tokio::join!(events, cells);
    }

    /// Answers who asked for the end, lets the last messages leave, and closes the sockets.
    pub(crate) async fn answer(&self, desk: &Desk, stop: &Stop) {
        let reply = Content::from(ShutdownReply {
            restart: stop.restart,
        });
        if let Some(request) = &stop.request {
            desk.publish_state(request, ExecutionState::Busy);
            desk.reply(request, &reply);
            // Other clients of the same kernel hear of it.
            desk.publish(request, &reply);
            desk.publish_state(request, ExecutionState::Idle);
        }
        let limit = SEND_LIMIT.min(self.without(HOST_LIMIT));
        desk.sockets.flush(limit).await;
        // They hold the desk, and with it the sockets.
        desk.close_comms();
        desk.sockets.close().await;
    }
}
