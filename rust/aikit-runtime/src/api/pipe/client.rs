//! The engine's end of the pipe.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use aikit_core::{Context, Result, Value, io, script::Callable};
use futures::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, mpsc, oneshot},
};

use super::{
    CALLS_MAX, Frame, Outcome, WireArg, WireReturn, closed, encode, read_frame, write_frames,
};
use crate::api::{Arg, Host, Resource, Return, StreamId, Target};

/// The session behind a byte pipe. Dropping it closes the pipe.
#[derive(Debug)]
pub struct PipeHost {
    shared: Arc<Shared>,
    _tasks: [io::AbortOnDrop; 2],
}

#[derive(Debug)]
struct Shared {
    // Unbounded, because a release must not wait; `calls` bounds what is really in flight.
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
    calls: Semaphore,
    next: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    calls: HashMap<u64, oneshot::Sender<Reply>>,
    callables: HashMap<u64, (Context, Arc<dyn Callable>)>,
    callbacks: HashMap<u64, io::AbortOnDrop>,
}

#[derive(Debug)]
enum Reply {
    Return(Outcome<WireReturn>),
    Item(Outcome<Option<Value>>),
}

impl PipeHost {
    /// Talks to [`serve`](super::serve) at the other end.
    pub fn new(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        let (outgoing, frames) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            outgoing,
            calls: Semaphore::new(CALLS_MAX),
            next: AtomicU64::new(1),
            state: Mutex::default(),
        });
        let reading = io::spawn(read(Arc::clone(&shared), reader));
        let writing = io::spawn(async move {
            if let Err(error) = write_frames(writer, frames).await {
                tracing::debug!(%error, "the pipe to the session closed");
            }
        });
        Self {
            shared,
            _tasks: [
                io::AbortOnDrop(reading.abort_handle()),
                io::AbortOnDrop(writing.abort_handle()),
            ],
        }
    }

    async fn ask(&self, frame: impl FnOnce(u64) -> Frame) -> Result<Reply> {
        let permit = self.shared.calls.acquire().await;
        let _permit = permit.map_err(|_| closed())?;
        let call = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (sender, reply) = oneshot::channel();
        {
            let mut state = self.shared.state();
            if state.closed {
                return Err(closed());
            }
            state.calls.insert(call, sender);
        }
        let mut waiting = Waiting {
            shared: &self.shared,
            call,
            answered: false,
        };
        self.shared.send(&frame(call))?;
        let reply = reply.await.map_err(|_| closed());
        waiting.answered = true;
        reply
    }
}

/// A call that is dropped half-way is cancelled at the other end.
struct Waiting<'a> {
    shared: &'a Shared,
    call: u64,
    answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.state().calls.remove(&self.call);
        if !self.answered {
            self.shared.tell(&Frame::Cancel { call: self.call });
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, frame: &Frame) -> Result<()> {
        self.outgoing.send(encode(frame)?).map_err(|_| closed())
    }

    /// Sends what needs no answer; a closed pipe has forgotten everything anyway.
    fn tell(&self, frame: &Frame) {
        if let Err(error) = self.send(frame) {
            tracing::debug!(%error, "a notice was not sent");
        }
    }

    fn keep(&self, cx: &Context, callable: Arc<dyn Callable>) -> WireArg {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let name = callable.name().to_owned();
        self.state().callables.insert(id, (cx.clone(), callable));
        WireArg::Callable { id, name }
    }
}

async fn read(shared: Arc<Shared>, mut reader: impl AsyncRead + Unpin) {
    loop {
        match read_frame(&mut reader).await {
            Ok(Some(frame)) => receive(&shared, frame),
            Ok(None) => break,
            Err(error) => {
                tracing::warn!(%error, "the pipe to the session broke");
                break;
            }
        }
    }
    let mut state = shared.state();
    state.closed = true;
    // Dropping the senders wakes whoever waits.
    let (calls, callables) = (
        std::mem::take(&mut state.calls),
        std::mem::take(&mut state.callables),
    );
    let callbacks = std::mem::take(&mut state.callbacks);
    drop(state);
    drop((calls, callables, callbacks));
}

fn receive(shared: &Arc<Shared>, frame: Frame) {
    match frame {
        Frame::Return { call, outcome } => answer(shared, call, Reply::Return(outcome)),
        Frame::Item { call, outcome } => answer(shared, call, Reply::Item(outcome)),
        Frame::Callback {
            callback,
            callable,
            args,
        } => call_back(shared, callback, callable, args),
        Frame::CallbackCancel { callback } => {
            let running = shared.state().callbacks.remove(&callback);
            drop(running);
        }
        Frame::Forget { callable } => {
            let forgotten = shared.state().callables.remove(&callable);
            drop(forgotten);
        }
        other => tracing::warn!(?other, "a frame came from the wrong side"),
    }
}

fn answer(shared: &Shared, call: u64, reply: Reply) {
    let waiting = shared.state().calls.remove(&call);
    // An answer that nobody waits for crossed a cancellation.
    if let Some(sender) = waiting {
        drop(sender.send(reply));
    }
}

fn call_back(shared: &Arc<Shared>, callback: u64, callable: u64, args: Vec<Value>) {
    let found = shared.state().callables.get(&callable).cloned();
    let Some((cx, function)) = found else {
        let outcome = Outcome::new(Err(closed()));
        return shared.tell(&Frame::CallbackReturn { callback, outcome });
    };
    let sharing = Arc::clone(shared);
    let (start, started) = oneshot::channel::<()>();
    let running = io::spawn(async move {
        // Begins only when it is listed, so that a quick end finds itself in the list.
        drop(started.await);
        let outcome = Outcome::new(function.call(&cx, args).await);
        sharing.tell(&Frame::CallbackReturn { callback, outcome });
        let ended = sharing.state().callbacks.remove(&callback);
        drop(ended);
    });
    let running = io::AbortOnDrop(running.abort_handle());
    shared.state().callbacks.insert(callback, running);
    drop(start);
}

impl Host for PipeHost {
    fn call<'a>(
        &'a self,
        cx: &'a Context,
        target: Target,
        args: Vec<Arg>,
    ) -> BoxFuture<'a, Result<Return>> {
        Box::pin(async move {
            let args = args.into_iter();
            let mut keep = |callable| self.shared.keep(cx, callable);
            let args = args.map(|arg| WireArg::new(arg, &mut keep)).collect();
            let asked = self.ask(|call| Frame::Call { call, target, args });
            match cx.within(asked).await?? {
                Reply::Return(outcome) => outcome.into_result()?.into_return(),
                Reply::Item(_) => Err(super::malformed("a call was answered by an item")),
            }
        })
    }

    fn next<'a>(
        &'a self,
        cx: &'a Context,
        stream: StreamId,
    ) -> BoxFuture<'a, Result<Option<Value>>> {
        Box::pin(async move {
            let asked = self.ask(|call| Frame::Next { call, stream });
            match cx.within(asked).await?? {
                Reply::Item(outcome) => outcome.into_result(),
                Reply::Return(_) => Err(super::malformed("an item was answered by a return")),
            }
        })
    }

    fn release(&self, resource: Resource) {
        self.shared.tell(&Frame::Release { resource });
    }
}
