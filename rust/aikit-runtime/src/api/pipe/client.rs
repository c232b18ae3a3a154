//! The engine's end of the pipe.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use aikit_core::{
    Context, Result, Value, broadcast::Delivery, context::Overrides, io, script::Callable,
    value::Map,
};
use futures::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, mpsc, oneshot},
};

use super::{
    CALLS_MAX, Frame, Outcome, WireArg, WireItem, WireReturn, carried_by_host, closed,
    metadata::{Kept, Outgoing, Place},
    read_frame, write_frames,
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
    outgoing: Outgoing,
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
    /// What the session has sent.
    metadata: Kept,
}

#[derive(Debug)]
enum Reply {
    Return(Box<Outcome<WireReturn>>),
    Item(Outcome<WireItem>),
}

impl Reply {
    /// Whether the other end wants to know that it has arrived.
    const fn is_delivery(&self) -> bool {
        match self {
            Self::Return(outcome) => matches!(**outcome, Outcome::Ok(WireReturn::Delivery(_))),
            Self::Item(outcome) => matches!(outcome, Outcome::Ok(WireItem::Delivery(_))),
        }
    }
}

impl PipeHost {
    /// Talks to [`serve`](super::serve) at the other end.
    pub fn new(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        let (outgoing, frames) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            outgoing: Outgoing::new(outgoing),
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

    async fn ask(&self, cx: &Context, frame: impl FnOnce(u64, Place) -> Frame) -> Result<Reply> {
        let permit = self.shared.calls.acquire().await;
        let _permit = permit.map_err(|_| closed())?;
        let call = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (sender, reply) = oneshot::channel();
        let mut waiting = Waiting {
            shared: &self.shared,
            call,
            reply,
            answered: false,
        };
        {
            let mut state = self.shared.state();
            if state.closed {
                drop(state);
                return Err(closed());
            }
            state.calls.insert(call, sender);
        }
        self.shared.send_call(cx, |place| frame(call, place))?;
        let reply = (&mut waiting.reply).await.map_err(|_| closed());
        waiting.answered = true;
        if reply.as_ref().is_ok_and(Reply::is_delivery) {
            self.shared.tell(&Frame::Arrived { call });
        }
        reply
    }
}

/// A call that is dropped half-way is cancelled at the other end.
struct Waiting<'a> {
    shared: &'a Shared,
    call: u64,
    reply: oneshot::Receiver<Reply>,
    answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.state().calls.remove(&self.call);
        if self.answered {
            return;
        }
        self.shared.tell(&Frame::Cancel { call: self.call });
        // It may have come between the last look and now.
        self.reply.close();
        if let Ok(reply) = self.reply.try_recv() {
            self.shared.release(reply);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a frame that belongs to a Context; what it holds is let go of when it cannot be sent.
    fn send_call(&self, cx: &Context, frame: impl FnOnce(Place) -> Frame) -> Result<()> {
        let mut sending = self.outgoing.begin();
        let place = sending.place(cx.metadata())?;
        let frame = frame(place);
        let sent = sending.send(&frame);
        if sent.is_err() {
            self.forget(frame);
        }
        sent
    }

    /// Sends what needs no answer; a closed pipe has forgotten everything anyway.
    fn tell(&self, frame: &Frame) {
        if let Err(error) = self.outgoing.send(frame) {
            tracing::debug!(%error, "a notice was not sent");
        }
    }

    /// Gives back what an answer holds that nobody waits for.
    fn release(&self, reply: Reply) {
        let Reply::Return(outcome) = reply else {
            return;
        };
        let Outcome::Ok(returned) = *outcome else {
            return;
        };
        let resource = match returned {
            WireReturn::Object(object) => Resource::Object(object.id),
            WireReturn::Stream(stream) => Resource::Stream(stream),
            WireReturn::Display { object, .. } => match object {
                Some(object) => Resource::Object(object.id),
                None => return,
            },
            // Of a delivery the other end knows by the cancellation that it did not arrive.
            WireReturn::Value(_)
            | WireReturn::Shown(..)
            | WireReturn::Delivery(_)
            | WireReturn::NoRoom(_) => return,
        };
        self.tell(&Frame::Release { resource });
    }

    /// Lets go of the functions of a call that was not sent: the other end cannot do it.
    fn forget(&self, frame: Frame) {
        let Frame::Call { args, .. } = frame else {
            return;
        };
        let mut left = args;
        while let Some(arg) = left.pop() {
            match arg {
                WireArg::Callable { id, .. } => drop(self.state().callables.remove(&id)),
                WireArg::List(items) => left.extend(items),
                WireArg::Map(members) => left.extend(members.into_iter().map(|(_, arg)| arg)),
                WireArg::Value(_) | WireArg::Object { .. } => {}
            }
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
        Frame::Return { call, outcome } => answer(shared, call, Reply::Return(Box::new(outcome))),
        Frame::Item { call, outcome } => answer(shared, call, Reply::Item(outcome)),
        Frame::Callback {
            callback,
            callable,
            args,
            metadata,
        } => {
            let metadata = shared.state().metadata.at(metadata);
            match metadata {
                Ok(metadata) => call_back(shared, (callback, callable), args, metadata),
                Err(error) => {
                    let outcome = Outcome::Err(error.to_value());
                    shared.tell(&Frame::CallbackReturn { callback, outcome });
                }
            }
        }
        Frame::Metadata { place, metadata } => {
            let kept = shared.state().metadata.receive(place, metadata);
            if let Err(error) = kept {
                tracing::warn!(%error, "the session sent what cannot be");
            }
        }
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
    let unwanted = match waiting {
        Some(sender) => sender.send(reply).err(),
        None => Some(reply),
    };
    // An answer that nobody waits for crossed a cancellation.
    if let Some(reply) = unwanted {
        shared.release(reply);
    }
}

/// The callback that runs, in its Context.
#[derive(Debug)]
struct Callback(u64);

/// The callback that a Context belongs to.
fn inside(cx: &Context) -> Option<u64> {
    cx.host::<Callback>().map(|it| it.0)
}

fn call_back(
    shared: &Arc<Shared>,
    (callback, callable): (u64, u64),
    args: Vec<Value>,
    metadata: Map,
) {
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
        let cx = cx.part(Overrides {
            host: Some(Arc::new(Callback(callback))),
            ..carried_by_host(&cx, metadata)
        });
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
            // Functions are kept when the call is sent: one that is dropped before keeps none.
            let asked = self.ask(cx, |call, metadata| {
                let mut keep = |callable| self.shared.keep(cx, callable);
                let args = args.into_iter();
                let args = args.map(|arg| WireArg::new(arg, &mut keep)).collect();
                Frame::Call {
                    call,
                    inside: inside(cx),
                    target,
                    args,
                    metadata,
                }
            });
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
    ) -> BoxFuture<'a, Result<Option<Delivery>>> {
        Box::pin(async move {
            let asked = self.ask(cx, |call, metadata| Frame::Next {
                call,
                inside: inside(cx),
                stream,
                metadata,
            });
            match cx.within(asked).await?? {
                Reply::Item(outcome) => Ok(outcome.into_result()?.into_item()),
                Reply::Return(_) => Err(super::malformed("an item was answered by a return")),
            }
        })
    }

    fn release(&self, resource: Resource) {
        self.shared.tell(&Frame::Release { resource });
    }
}

#[cfg(test)]
mod tests {
    use aikit_core::ErrorKind;
    use tokio::io::AsyncWriteExt as _;

    use super::{super::WireObject, *};

    /// A function of a script.
    #[derive(Debug)]
    struct Silent;

    impl Callable for Silent {
        fn name(&self) -> &'static str {
            "silent"
        }

        fn call(&self, _: &Context, _: Vec<Value>) -> BoxFuture<'static, Result<Value>> {
            Box::pin(async { Ok(Value::Null) })
        }
    }

    fn target() -> Target {
        Target::Module {
            module: "Model".to_owned(),
        }
    }

    #[test]
    fn what_a_cancelled_call_gives_is_released() {
        let test = async {
            let (ours, theirs) = tokio::io::duplex(64);
            let (reader, writer) = tokio::io::split(ours);
            let host = PipeHost::new(reader, writer);
            let (mut reader, mut writer) = tokio::io::split(theirs);
            let cx = Context::default();
            let mut asked = host.call(&cx, target(), Vec::new());
            assert!(futures::poll!(&mut asked).is_pending());
            let sent = read_frame(&mut reader).await?;
            let Some(Frame::Call { call, .. }) = sent else {
                panic!("{sent:?}");
            };
            drop(asked);
            let sent = read_frame(&mut reader).await?;
            assert!(matches!(sent, Some(Frame::Cancel { call: it }) if it == call));
            // It was given before the other end heard of that.
            let outcome = Outcome::Ok(WireReturn::Object(WireObject {
                class: "Model".to_owned(),
                id: 7,
                fields: Map::new(),
                bytes: 0,
            }));
            let answer = super::super::encode(&Frame::Return { call, outcome })?;
            writer.write_all(&answer).await?;
            let sent = read_frame(&mut reader).await?;
            let Some(Frame::Release { resource }) = sent else {
                panic!("{sent:?}");
            };
            assert_eq!(resource, Resource::Object(7));
            Ok::<_, aikit_core::Error>(())
        };
        io::wait(test, || Ok(())).unwrap().unwrap();
    }

    #[test]
    fn a_call_that_cannot_be_sent_keeps_no_function() {
        let test = async {
            let (ours, _theirs) = tokio::io::duplex(64);
            let (reader, writer) = tokio::io::split(ours);
            let host = PipeHost::new(reader, writer);
            let large = Value::from("x".repeat(super::super::FRAME_BYTES_MAX));
            let args = vec![
                Arg::List(vec![Arg::Callable(Arc::new(Silent))]),
                Arg::Value(large),
            ];
            let error = host.call(&Context::default(), target(), args).await;
            assert_eq!(error.unwrap_err().kind(), ErrorKind::LimitExceeded);
            assert_eq!(host.shared.state().callables.len(), 0);
            assert_eq!(host.shared.state().calls.len(), 0);
        };
        io::wait(test, || Ok(())).unwrap();
    }
}
