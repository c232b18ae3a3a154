//! What a cell prints and shows, on its way to the iopub socket.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use aikit_core::{
    Context,
    clock::Clock,
    engine::{Output, OutputSink, StreamName},
    io,
    markup::escape,
    progress::Progress,
};
use bytes::Bytes;

use crate::{
    socket::Sockets,
    wire::{
        Content, Object,
        display::{ClearOutput, DisplayData, Stream, UpdateDisplayData, bundle},
    },
};

/// How long a print may wait for the next one, to be sent with it.
const BATCH_DELAY: Duration = Duration::from_millis(50);
/// Prints are sent at once when this much waits.
const BATCH_BYTES: usize = 1 << 16;

/// The output of one cell. It may outlive the cell: what a coroutine of the cell prints later
/// still belongs to it.
#[derive(Clone)]
pub(crate) struct CellOutput(Arc<Inner>);

struct Inner {
    sockets: Arc<Sockets>,
    clock: Arc<dyn Clock>,
    /// Header of the request, byte for byte.
    parent: Bytes,
    /// Whether nothing is broadcast.
    silent: bool,
    batch: Mutex<Batch>,
    /// Ends what waits for a reader; absent before the cell runs.
    context: OnceLock<Context>,
}

#[derive(Default)]
struct Batch {
    texts: Vec<(StreamName, String)>,
    bytes: usize,
    /// Whether a flush is on its way.
    is_timed: bool,
    /// Identities of the bars that are shown.
    bars: HashSet<String>,
}

impl fmt::Debug for CellOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CellOutput")
            .field("silent", &self.0.silent)
            .finish_non_exhaustive()
    }
}

impl CellOutput {
    /// Output of the request with the header `parent`; `silent` drops it.
    pub(crate) fn new(
        sockets: Arc<Sockets>,
        clock: Arc<dyn Clock>,
        parent: Bytes,
        silent: bool,
    ) -> Self {
        Self(Arc::new(Inner {
            sockets,
            clock,
            parent,
            silent,
            batch: Mutex::default(),
            context: OnceLock::new(),
        }))
    }

    /// Lets an interrupt of the cell that runs under `context` end what waits for a reader.
    pub(crate) fn follow(&self, context: &Context) {
        // One output is of one cell.
        let _already = self.0.context.set(context.clone());
    }

    /// Sends what was printed, then `content`.
    pub(crate) fn publish(&self, content: &Content) {
        let mut batch = self.0.batch();
        self.0.send(&mut batch);
        // Under the lock, so that no print slips in between.
        self.0.sockets.iopub.publish(&self.0.parent, content);
    }

    /// Sends what was printed.
    pub(crate) fn flush(&self) {
        self.0.send(&mut self.0.batch());
    }

    fn print(&self, name: StreamName, text: String) {
        let mut batch = self.0.batch();
        batch.bytes += text.len();
        match batch.texts.last_mut() {
            Some((last, texts)) if *last == name => texts.push_str(&text),
            _ => batch.texts.push((name, text)),
        }
        if batch.bytes >= BATCH_BYTES {
            self.0.send(&mut batch);
            drop(batch);
            self.wait_for_room();
        } else if !batch.is_timed {
            batch.is_timed = true;
            drop(batch);
            let output = self.clone();
            // Not waited for: what it would send is sent earlier by whoever needs it earlier.
            let _timer = io::spawn(async move {
                output.0.clock.sleep(BATCH_DELAY).await;
                let mut batch = output.0.batch();
                batch.is_timed = false;
                output.0.send(&mut batch);
            });
        }
    }

    /// Draws a bar, or draws it anew in its place.
    fn show_progress(&self, progress: &Progress) {
        let is_shown = {
            let mut batch = self.0.batch();
            let is_shown = !batch.bars.insert(progress.id.clone());
            if progress.is_over {
                batch.bars.remove(&progress.id);
            }
            is_shown
        };
        let display = progress_bar(progress);
        self.publish(&if is_shown {
            UpdateDisplayData(display).into()
        } else {
            display.into()
        });
        self.wait_for_room();
    }

    fn wait_for_room(&self) {
        let sockets = Arc::clone(&self.0.sockets);
        let context = self.0.context.get().cloned();
        let waiting = async move {
            match context {
                // A cell that was interrupted waits for nobody.
                Some(context) => drop(context.within(sockets.iopub.room()).await),
                None => sockets.iopub.room().await,
            }
        };
        // Only the runtime's end could fail this, and then nobody reads anyway.
        let _ended = io::wait(waiting, || Ok(()));
    }
}

impl Inner {
    fn batch(&self) -> MutexGuard<'_, Batch> {
        // A plain mutex: it is never held across an await.
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, batch: &mut Batch) {
        batch.bytes = 0;
        for (name, text) in batch.texts.drain(..) {
            let name = match name {
                StreamName::Stdout => "stdout",
                StreamName::Stderr => "stderr",
            };
            let stream = Stream {
                name: name.to_owned(),
                text,
            };
            self.sockets.iopub.publish(&self.parent, &stream.into());
        }
    }
}

impl OutputSink for CellOutput {
    fn emit(&self, output: Output) {
        if self.0.silent {
            return;
        }
        match output {
            Output::Stream { text, .. } if text.is_empty() => {}
            Output::Stream { name, text } => self.print(name, text),
            Output::Display {
                bundle: data,
                metadata,
                display_id,
                update,
            } => {
                let transient: Object = display_id
                    .into_iter()
                    .map(|id| ("display_id".to_owned(), id.into()))
                    .collect();
                let (data, metadata) = (bundle(&data), bundle(&metadata));
                let display = DisplayData {
                    data,
                    metadata,
                    transient,
                };
                let content = if update {
                    UpdateDisplayData(display).into()
                } else {
                    display.into()
                };
                self.publish(&content);
                self.wait_for_room();
            }
            Output::Progress(progress) => self.show_progress(&progress),
            Output::Clear { wait } => self.publish(&ClearOutput { wait }.into()),
        }
    }
}

/// A bar as front ends show it.
fn progress_bar(progress: &Progress) -> DisplayData {
    let text = |name: &str, text: String| (name.to_owned(), text.into());
    let (count, times) = (progress.count(), progress.times());
    // Without a value the element shows that nobody knows how much is left.
    let state = match (progress.share(), progress.is_over) {
        // Not rounded up: only what is done looks so.
        (Some(share), _) => format!(" value=\"{:.4}\"", (share * 1e4).floor() / 1e4),
        (None, true) => " value=\"1\"".to_owned(),
        (None, false) => String::new(),
    };
    let percent = progress
        .percent()
        .map(|percent| format!("{percent}% "))
        .unwrap_or_default();
    let label = escape(&progress.label);
    let html = format!(
        "<div>{label} <progress{state}></progress> {percent}{count} <small>{}</small></div>",
        escape(&times)
    );
    DisplayData {
        data: Object::from_iter([text("text/plain", progress.line()), text("text/html", html)]),
        metadata: Object::new(),
        transient: Object::from_iter([text("display_id", progress.id.clone())]),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpStream,
    };

    use aikit_core::{ErrorKind, Value, clock::SystemClock, value::Map};
    use futures::FutureExt as _;

    use super::*;
    use crate::{
        connection::{ConnectionInfo, SocketName, Transport},
        wire::frame::Codec,
    };

    const SUBSCRIBER: &[u8] = b"\xff\0\0\0\0\0\0\0\0\x7f\x03\x01NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB\x00\x01\x01";

    async fn bind() -> (Arc<Sockets>, ConnectionInfo) {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut connection = ConnectionInfo::create(Transport::Tcp, "127.0.0.1", &*clock);
        let codec = Arc::new(Codec::new(connection.key(), Arc::clone(&clock)));
        let bound = Sockets::bind(&mut connection, &codec, &clock).await;
        (Arc::new(bound.unwrap().0), connection)
    }

    #[test]
    fn an_interrupted_cell_waits_for_no_reader() {
        let (sockets, connection) = io::wait(bind(), || Ok(())).unwrap();
        let port = connection.endpoint(SocketName::Iopub).port;
        let mut subscriber = TcpStream::connect(("127.0.0.1", port)).unwrap();
        subscriber.write_all(SUBSCRIBER).unwrap();
        // Greeting, READY, and the begin of the welcome; nothing more is ever read.
        subscriber.read_exact(&mut [0; 64 + 28 + 1]).unwrap();
        let (clock, cx) = (Arc::new(SystemClock), Context::default());
        let output = CellOutput::new(Arc::clone(&sockets), clock, Bytes::new(), false);
        output.follow(&cx);
        cx.cancel(ErrorKind::Interrupted, "the cell was interrupted");
        output.emit(Output::Display {
            bundle: Map::from_iter([("text/plain".to_owned(), Value::from("x".repeat(1 << 25)))]),
            metadata: Map::new(),
            display_id: None,
            update: false,
        });
        // Had it waited, the subscriber would be known to be stuck, and nobody would wait for it.
        let waiting = io::wait(
            async move { sockets.iopub.room().now_or_never().is_none() },
            || Ok(()),
        );
        assert!(waiting.unwrap());
    }
}
