//! The session's end of the pipe.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use aikit_core::{
    Context, Error, ErrorKind, Result, Value, context::Overrides, io, script::Callable, value::Map,
};
use futures::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{mpsc, oneshot},
};

use super::{
    CALLS_MAX, Frame, Outcome, WireArg, WireItem, WireReturn, carried, closed, encode, read_frame,
    write_frames,
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
        cx: cx.child(Overrides::default()),
        outgoing,
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
    // Unbounded, because a callable's end is told from `drop`; calls in flight are bounded.
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
    next: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: HashMap<u64, Context>,
    /// Who waits for a callback, and the Context it runs in.
    callbacks: HashMap<u64, (oneshot::Sender<Outcome<Value>>, Context)>,
    /// Contexts of callbacks that were answered, the latest last: tasks they started go on.
    answered: VecDeque<(u64, Context)>,
    held: Vec<Resource>,
}

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

impl Server {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, frame: &Frame) -> Result<()> {
        self.outgoing.send(encode(frame)?).map_err(|_| closed())
    }

    fn tell(&self, frame: &Frame) {
        if let Err(error) = self.send(frame) {
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
                let cx = self.begin(call, inside, metadata)?;
                self.start_call(call, cx, target, args);
            }
            Frame::Next {
                call,
                inside,
                stream,
                metadata,
            } => {
                let cx = self.begin(call, inside, metadata)?;
                self.start_next(call, cx, stream);
            }
            Frame::Cancel { call } => {
                if let Some(cx) = self.state().calls.get(&call) {
                    cx.cancel(ErrorKind::Cancelled, "the script stopped waiting");
                }
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

    fn begin(&self, call: u64, inside: Option<u64>, metadata: Map) -> Result<Context> {
        let mut state = self.state();
        let around = inside.map(|callback| state.inside(callback));
        let cx = match around {
            None => self.cx.child(carried(&self.cx, metadata)),
            Some(Some(cx)) => cx.child(carried(cx, metadata)),
            // Nobody waited for its answer, or it is long over, so its calls end as well.
            Some(None) => {
                let cx = self.cx.child(Overrides::default());
                cx.cancel(ErrorKind::Cancelled, "the caller stopped waiting");
                cx
            }
        };
        if state.calls.len() >= CALLS_MAX {
            return Err(super::malformed("too many calls are in flight"));
        }
        state.calls.insert(call, cx.clone());
        Ok(cx)
    }

    fn start_call(self: &Arc<Self>, call: u64, cx: Context, target: Target, args: Vec<WireArg>) {
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
            let outcome = server.host.call(&cx, target, args).await;
            let held = outcome.as_ref().ok().and_then(|it| server.hold(it));
            let outcome = Outcome::new(outcome.map(WireReturn::new));
            let is_sent = server.answer(call, |outcome| Frame::Return { call, outcome }, outcome);
            if let Some(resource) = held.filter(|_| !is_sent) {
                server.release(resource);
            }
        }));
    }

    fn start_next(self: &Arc<Self>, call: u64, cx: Context, stream: StreamId) {
        let server = Arc::clone(self);
        drop(io::spawn(async move {
            let outcome = Outcome::new(server.host.next(&cx, stream).await.map(WireItem::new));
            server.answer(call, |outcome| Frame::Item { call, outcome }, outcome);
        }));
    }

    fn hold(&self, returned: &Return) -> Option<Resource> {
        let resource = match returned {
            Return::Object(object) => Resource::Object(object.id.0),
            Return::Stream(stream) => Resource::Stream(*stream),
            Return::Value(_) => return None,
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
        let sent = self.send(&frame(outcome));
        if let Err(error) = &sent {
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
            server.send(&Frame::Callback {
                callback,
                callable,
                args,
                metadata: cx.metadata().clone(),
            })?;
            let reply = cx.within(reply).await?;
            waiting.answered = true;
            reply
                .map_err(|_: oneshot::error::RecvError| -> Error { closed() })?
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
