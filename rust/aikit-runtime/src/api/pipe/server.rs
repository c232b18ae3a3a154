//! The session's end of the pipe.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    broadcast::{Delivery, FunctionGone},
    context::Overrides,
    io,
    script::Callable,
};
use futures::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{mpsc, oneshot, watch},
};

use super::{
    CALLS_MAX, Frame, Outcome, WireArg, WireItem, WireReturn, carried, closed,
    metadata::{Kept, Outgoing, Place},
    read_frame, write_frames,
};
use crate::api::{Arg, Host as _, LocalHost, Resource, Return, Session, StreamId, Target};

/// Answers an engine at the other end until it closes the pipe. Every call runs below `cx`.
///
/// # Errors
///
/// `protocol` when a frame cannot be read, `io` when the pipe breaks; what the engine held is
/// released in every case.
pub async fn serve(
    session: Session,
    cx: Context,
    mut reader: impl AsyncRead + Unpin,
    writer: impl AsyncWrite + Send + Unpin + 'static,
) -> Result<()> {
    let (outgoing, frames) = mpsc::unbounded_channel();
    let writing = io::spawn(write_frames(writer, frames));
    let _writing = io::AbortOnDrop(writing.abort_handle());
    let server = Arc::new(Server {
        host: LocalHost::new(session),
        cx: cx.part(Overrides::default()),
        outgoing: Outgoing::new(outgoing),
        next: AtomicU64::new(1),
        state: Mutex::default(),
    });
    let ended = loop {
        match read_frame(&mut reader).await {
            Ok(Some(frame)) => {
                if let Err(error) = server.receive(frame) {
                    break Err(error);
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    server.close();
    ended
}

#[derive(Debug)]
struct Server {
    host: LocalHost,
    cx: Context,
    outgoing: Outgoing,
    next: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Calls that run: their Contexts, and who is told that they have ended.
    calls: HashMap<u64, Running>,
    /// Items that calls gave and that have not arrived: dropped, each is the next one again.
    deliveries: HashMap<u64, Delivery>,
    /// Cancelled calls that have not ended.
    ending: Vec<watch::Receiver<()>>,
    /// What the engine has sent.
    metadata: Kept,
    /// Who waits for a callback, and the Context it runs in.
    callbacks: HashMap<u64, (oneshot::Sender<Outcome<Value>>, Context)>,
    /// Contexts of callbacks that were answered, the latest last: tasks they started go on.
    answered: VecDeque<(u64, Context)>,
    held: Vec<Resource>,
}

/// A call that runs.
#[derive(Debug)]
struct Running {
    cx: Context,
    /// Dropped with the call, which tells those that wait for its end.
    ended: watch::Sender<()>,
    /// Whether nobody waits for its answer.
    is_cancelled: bool,
}

/// Cancelled calls that may have not ended yet.
const ENDING_MAX: usize = 8 * CALLS_MAX;

/// Answered callbacks whose tasks may still call.
const ANSWERED_MAX: usize = 256;

impl State {
    /// The Context that a callback runs or ran in.
    fn inside(&self, callback: u64) -> Option<&Context> {
        let running = self.callbacks.get(&callback).map(|(_, cx)| cx);
        let mut answered = self.answered.iter().rev();
        running.or_else(|| answered.find(|(it, _)| *it == callback).map(|(_, cx)| cx))
    }

    fn answer(&mut self, callback: u64) -> Option<oneshot::Sender<Outcome<Value>>> {
        let (sender, cx) = self.callbacks.remove(&callback)?;
        if self.answered.len() == ANSWERED_MAX {
            self.answered.pop_front();
        }
        self.answered.push_back((callback, cx));
        Some(sender)
    }
}

/// A call that is to begin.
struct Begun {
    cx: Context,
    /// Cancelled calls that came before.
    after: Vec<watch::Receiver<()>>,
}

impl Begun {
    /// The call's Context, when those before have ended: as in one process, what was cancelled is
    /// over when the script goes on. They end soon, being cancelled.
    async fn turn(self) -> Context {
        for mut ended in self.after {
            // It only ever ends.
            drop(ended.changed().await);
        }
        self.cx
    }
}

impl Server {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, frame: &Frame) {
        if let Err(error) = self.outgoing.send(frame) {
            tracing::debug!(%error, "an answer was not sent");
        }
    }

    fn receive(self: &Arc<Self>, frame: Frame) -> Result<()> {
        match frame {
            Frame::Call {
                call,
                inside,
                target,
                args,
                metadata,
            } => {
                let begun = self.begin(call, inside, metadata)?;
                self.start_call(call, begun, target, args);
            }
            Frame::Next {
                call,
                inside,
                stream,
                metadata,
            } => {
                let begun = self.begin(call, inside, metadata)?;
                self.start_next(call, begun, stream);
            }
            Frame::Metadata { place, metadata } => {
                self.state().metadata.receive(place, metadata)?;
            }
            Frame::Cancel { call } => self.cancel(call),
            Frame::Arrived { call } => {
                let arrived = self.state().deliveries.remove(&call);
                drop(arrived.map(Delivery::keep));
            }
            Frame::Release { resource } => self.release(resource),
            Frame::CallbackReturn { callback, outcome } => {
                let waiting = self.state().answer(callback);
                if let Some(sender) = waiting {
                    drop(sender.send(outcome));
                }
            }
            other => return Err(super::malformed(format!("unexpected frame {other:?}"))),
        }
        Ok(())
    }

    /// Ends a call that nobody waits for; those that come later begin when it has ended.
    fn cancel(&self, call: u64) {
        let mut state = self.state();
        let unwanted = state.deliveries.remove(&call);
        let running = state.calls.get_mut(&call).map(|running| {
            running.is_cancelled = true;
            (running.cx.clone(), running.ended.subscribe())
        });
        let cx = running.map(|(cx, ended)| {
            state.ending.retain(|ending| ending.has_changed().is_ok());
            state.ending.push(ended);
            cx
        });
        drop(state);
        drop(unwanted);
        let Some(cx) = cx else { return };
        cx.cancel(ErrorKind::Cancelled, "the script stopped waiting");
    }

    fn begin(&self, call: u64, inside: Option<u64>, metadata: Place) -> Result<Begun> {
        let mut state = self.state();
        let metadata = state.metadata.at(metadata)?;
        let around = inside.map(|callback| state.inside(callback));
        let cx = match around {
            None => self.cx.part(carried(&self.cx, metadata)),
            Some(Some(cx)) => cx.part(carried(cx, metadata)),
            // Nobody waited for its answer, or it is long over, so its calls end as well.
            Some(None) => {
                let cx = self.cx.part(Overrides::default());
                cx.cancel(ErrorKind::Cancelled, "the caller stopped waiting");
                cx
            }
        };
        state.ending.retain(|ending| ending.has_changed().is_ok());
        // The other end counts those no more that it has cancelled, which end soon.
        if state.calls.len() >= CALLS_MAX + state.ending.len().min(ENDING_MAX) {
            return Err(super::malformed("too many calls are in flight"));
        }
        let running = Running {
            cx: cx.clone(),
            ended: watch::Sender::new(()),
            is_cancelled: false,
        };
        state.calls.insert(call, running);
        let after = state.ending.clone();
        Ok(Begun { cx, after })
    }

    fn start_call(self: &Arc<Self>, call: u64, begun: Begun, target: Target, args: Vec<WireArg>) {
        let server = Arc::clone(self);
        let make = |id, name| -> Arg {
            Arg::Callable(Arc::new(PipeCallable(Arc::new(Remote {
                id,
                name,
                server: Arc::clone(self),
            }))))
        };
        let args = args.into_iter().map(|arg| arg.into_arg(&make)).collect();
        drop(io::spawn(async move {
            let cx = begun.turn().await;
            let outcome = server.host.call(&cx, target, args).await;
            let held = outcome.as_ref().ok().and_then(|it| server.hold(it));
            let outcome = outcome.and_then(|returned| {
                let (sent, item) = WireReturn::new(returned);
                server.keep_item(call, item).map(|()| sent)
            });
            let outcome = Outcome::new(outcome);
            let is_sent = server.answer(call, |outcome| Frame::Return { call, outcome }, outcome);
            if let Some(resource) = held.filter(|_| !is_sent) {
                server.release(resource);
            }
        }));
    }

    /// Keeps an item until the other end has it.
    ///
    /// # Errors
    ///
    /// `cancelled` when nobody waits for it there any more; it is the next one again.
    fn keep_item(&self, call: u64, item: Option<Delivery>) -> Result<()> {
        let Some(item) = item else { return Ok(()) };
        let mut state = self.state();
        let is_wanted = state.calls.get(&call).is_some_and(|it| !it.is_cancelled);
        if is_wanted {
            state.deliveries.insert(call, item);
            return Ok(());
        }
        drop(state);
        drop(item);
        let message = "the script stopped waiting";
        Err(Error::new(ErrorKind::Cancelled, message))
    }

    fn start_next(self: &Arc<Self>, call: u64, begun: Begun, stream: StreamId) {
        let server = Arc::clone(self);
        drop(io::spawn(async move {
            let cx = begun.turn().await;
            let outcome = server.host.next(&cx, stream).await.and_then(|item| {
                let (sent, item) = WireItem::new(item);
                server.keep_item(call, item).map(|()| sent)
            });
            let outcome = Outcome::new(outcome);
            server.answer(call, |outcome| Frame::Item { call, outcome }, outcome);
        }));
    }

    fn hold(&self, returned: &Return) -> Option<Resource> {
        let resource = match returned {
            Return::Object(object) => Resource::Object(object.id.0),
            Return::Stream(stream) => Resource::Stream(*stream),
            Return::Display(shown) => Resource::Object(shown.object.as_ref()?.id.0),
            Return::Value(_) | Return::Shown(..) | Return::Delivery(_) | Return::NoRoom(_) => {
                return None;
            }
        };
        self.state().held.push(resource);
        Some(resource)
    }

    fn release(&self, resource: Resource) {
        self.state().held.retain(|held| *held != resource);
        self.host.release(resource);
    }

    /// Sends an answer, or why it could not be sent, such as its size; whether it was sent.
    fn answer<T>(
        &self,
        call: u64,
        frame: impl Fn(Outcome<T>) -> Frame,
        outcome: Outcome<T>,
    ) -> bool {
        let ended = self.state().calls.remove(&call);
        drop(ended);
        let sent = self.outgoing.send(&frame(outcome));
        if let Err(error) = &sent {
            let unsent = self.state().deliveries.remove(&call);
            drop(unsent);
            self.tell(&frame(Outcome::Err(error.to_value())));
        }
        sent.is_ok()
    }

    fn close(&self) {
        self.cx.cancel(ErrorKind::Cancelled, "the engine is gone");
        let state = std::mem::take(&mut *self.state());
        for resource in &state.held {
            self.host.release(*resource);
        }
    }
}

/// A function at the engine's end.
#[derive(Debug)]
struct PipeCallable(Arc<Remote>);

#[derive(Debug)]
struct Remote {
    id: u64,
    name: String,
    server: Arc<Server>,
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.server.tell(&Frame::Forget { callable: self.id });
    }
}

impl Callable for PipeCallable {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn call(&self, cx: &Context, args: Vec<Value>) -> BoxFuture<'static, Result<Value>> {
        let (remote, cx) = (Arc::clone(&self.0), cx.clone());
        Box::pin(async move {
            let server = &remote.server;
            let callback = server.next.fetch_add(1, Ordering::Relaxed);
            let (sender, reply) = oneshot::channel();
            let waits = (sender, cx.clone());
            server.state().callbacks.insert(callback, waits);
            let mut waiting = Waiting {
                server,
                callback,
                answered: false,
            };
            let callable = remote.id;
            {
                let mut sending = server.outgoing.begin();
                let metadata = sending.place(cx.metadata())?;
                sending.send(&Frame::Callback {
                    callback,
                    callable,
                    args,
                    metadata,
                })?;
            }
            let reply = cx.within(reply).await?;
            waiting.answered = true;
            reply
                .map_err(|_: oneshot::error::RecvError| closed().with_source(FunctionGone))?
                .into_result()
        })
    }
}

/// A callback that is dropped half-way is cancelled at the other end.
struct Waiting<'a> {
    server: &'a Server,
    callback: u64,
    answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let forgotten = self.server.state().callbacks.remove(&self.callback);
        drop(forgotten);
        if !self.answered {
            self.server.tell(&Frame::CallbackCancel {
                callback: self.callback,
            });
        }
    }
}
