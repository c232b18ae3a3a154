//! The one task of a process that collects spans and measurements and sends them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aikit_core::{
    clock::{Clock as _, SystemClock, UnixMicros},
    io,
    per_process::PerProcess,
};
use futures::{
    FutureExt as _,
    future::{Either, pending, select},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    metrics::{Measured, Metrics},
    otlp::Exporter,
    wire,
};

/// Spans and measurements that wait; what comes beyond is lost and counted.
const QUEUE_MAX: usize = 8_192;

/// Spans of one request.
const BATCH_MAX: usize = 512;

/// How long a span waits for others.
const BATCH_DELAY: Duration = Duration::from_secs(1);

/// How often metrics are sent while they change.
const METRICS_PERIOD: Duration = Duration::from_secs(10);

/// What reaches the task.
#[derive(Debug)]
pub(super) enum Item {
    /// A span that ended.
    Span(Arc<Exporter>, Box<wire::Span>),
    /// A value.
    Measured(Arc<Exporter>, Box<Measured>),
    /// Everything before this is to be sent; then the sender is told.
    Flush(oneshot::Sender<()>),
}

// A forked child has no task of its parent's, and what waited belongs to the parent.
static QUEUE: PerProcess<Queue> = PerProcess::new();

/// The way to the task of this process, which starts with the first item.
pub(super) fn queue() -> &'static Queue {
    QUEUE.get_or_init(|| {
        let (sender, items) = mpsc::channel(QUEUE_MAX);
        drop(io::spawn(Batch::default().run(items)));
        Queue {
            sender,
            waiting: AtomicU64::new(0),
        }
    })
}

/// What leads to the task.
#[derive(Debug)]
pub(super) struct Queue {
    sender: mpsc::Sender<Item>,
    /// Spans that ended and are neither sent nor lost.
    waiting: AtomicU64,
}

impl Queue {
    /// Adds an item; `false` when there is no room.
    pub(super) fn add(&self, item: Item) -> bool {
        let spans = u64::from(matches!(item, Item::Span(..)));
        self.waiting.fetch_add(spans, Ordering::Relaxed);
        let is_added = self.sender.try_send(item).is_ok();
        if !is_added {
            self.waiting.fetch_sub(spans, Ordering::Relaxed);
        }
        is_added
    }

    /// Returns when everything before this was sent or lost; waits for room.
    pub(super) async fn flush(&self) {
        let (done, is_done) = oneshot::channel();
        if self.sender.send(Item::Flush(done)).await.is_ok() {
            let _ = is_done.await;
        }
    }

    /// Notes that spans wait no longer.
    pub(super) fn settle(&self, spans: usize) {
        self.waiting.fetch_sub(spans as u64, Ordering::Relaxed);
    }

    /// How many spans ended and are neither sent nor lost.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// What waits to be sent, for the exporter that came last; one that is replaced is served first.
#[derive(Default)]
struct Batch {
    current: Option<Current>,
}

struct Current {
    exporter: Arc<Exporter>,
    spans: Vec<wire::Span>,
    metrics: Metrics,
    began: UnixMicros,
    /// When the spans that wait are sent.
    spans_due: Option<Duration>,
    metrics_due: Option<Duration>,
}

impl Current {
    fn new(exporter: Arc<Exporter>) -> Self {
        Self {
            exporter,
            spans: Vec::new(),
            metrics: Metrics::default(),
            began: SystemClock.wall(),
            spans_due: None,
            metrics_due: None,
        }
    }

    fn due(&self) -> Option<Duration> {
        self.spans_due.into_iter().chain(self.metrics_due).min()
    }

    async fn send_spans(&mut self) {
        self.spans_due = None;
        let spans = std::mem::take(&mut self.spans);
        if !spans.is_empty() {
            self.exporter.send_spans(spans).await;
        }
    }

    async fn send_metrics(&mut self) {
        self.metrics_due = None;
        if self.metrics.is_changed() {
            let metrics = self.metrics.take(self.began, SystemClock.wall());
            self.exporter.send_metrics(metrics).await;
        }
    }

    async fn send_all(&mut self) {
        self.send_spans().await;
        self.send_metrics().await;
    }
}

impl Batch {
    async fn run(mut self, mut items: mpsc::Receiver<Item>) {
        loop {
            let due = self.current.as_ref().and_then(Current::due);
            let pause = due.map(|it| it.saturating_sub(SystemClock.monotonic()));
            let timer = pause.map_or_else(|| pending().boxed(), |it| SystemClock.sleep(it));
            let next = items.recv().boxed();
            match select(next, timer).await {
                Either::Left((Some(item), _)) => self.take(item).await,
                // Every sender is gone: another thread was quicker to start a task.
                Either::Left((None, _)) => return,
                Either::Right(_) => self.send_due().await,
            }
        }
    }

    async fn take(&mut self, item: Item) {
        let now = SystemClock.monotonic();
        match item {
            Item::Span(exporter, span) => {
                let current = self.of(exporter).await;
                current.spans.push(*span);
                current.spans_due.get_or_insert(now + BATCH_DELAY);
                if current.spans.len() >= BATCH_MAX {
                    current.send_spans().await;
                }
            }
            Item::Measured(exporter, measured) => {
                let current = self.of(exporter).await;
                if !current.metrics.add(*measured) {
                    current.exporter.lose(1);
                }
                current.metrics_due.get_or_insert(now + METRICS_PERIOD);
            }
            Item::Flush(done) => {
                if let Some(current) = &mut self.current {
                    current.send_all().await;
                }
                // Who waits no longer does not want to know.
                let _ = done.send(());
            }
        }
    }

    async fn send_due(&mut self) {
        let now = SystemClock.monotonic();
        let Some(current) = &mut self.current else {
            return;
        };
        if current.spans_due.is_some_and(|it| it <= now) {
            current.send_spans().await;
        }
        if current.metrics_due.is_some_and(|it| it <= now) {
            current.send_metrics().await;
        }
    }

    async fn of(&mut self, exporter: Arc<Exporter>) -> &mut Current {
        let is_other = |it: &Current| !Arc::ptr_eq(&it.exporter, &exporter);
        if self.current.as_ref().is_some_and(is_other)
            && let Some(mut before) = self.current.take()
        {
            before.send_all().await;
        }
        self.current.get_or_insert_with(|| Current::new(exporter))
    }
}
