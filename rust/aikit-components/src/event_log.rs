//! The events that a project keeps: written beside the work, read again after a restart.
//!
//! A log has numbers of its own, from 1 without gaps over all processes of the project; those of a
//! bus begin anew with each process. Publishers never wait for the store: what is published while
//! it is slow waits in a bounded queue, and what does not fit is counted and told by an event
//! `events.lost` in the log itself.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    broadcast::{BroadcastSubscription, CAPACITY_MAX, DropPolicy, QueueOptions},
    clock::{Clock as _, SystemClock, UnixMicros},
    event::{Event, EventKind, Pattern, seconds},
    io,
    per_process::{self, PerProcess},
    storage::{Batch, KeyValueStore, Revision},
};
use futures::future::select;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::{
    config::EventsConfig,
    project::{self, Project},
};

/// Events that are written at once.
const BATCH_MAX: usize = 256;

/// Events that are forgotten at once.
const FORGET_MAX: u64 = 1_024;

/// Longest event that is kept, in bytes.
const EVENT_BYTES_MAX: usize = 1 << 16;

/// How often a number is asked for when other processes ask at the same time.
const ATTEMPTS_MAX: usize = 100;

/// Longest wait between two attempts is 2 to this power in milliseconds.
const PAUSE_EXPONENT_MAX: usize = 6;

/// Events that are replayed at once, unless the caller says otherwise.
pub const REPLAY: usize = 1_000;

/// Most events that are replayed at once.
pub const REPLAY_MAX: usize = 10_000;

/// Events that are read at once.
const PAGE: usize = 256;

/// Flushes that are asked for at once; more wait.
const FLUSHES_MAX: usize = 64;

/// How long the end of a program waits for its events to be written.
pub const SETTLE_LIMIT: Duration = Duration::from_secs(2);

/// The kept events of a project. Cheap to clone; what is published is kept while a clone lives.
#[derive(Clone, Debug)]
pub struct EventLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    project: Project,
    /// What the writer reads; `None` where the configuration keeps nothing.
    events: Option<Arc<BroadcastSubscription<Event>>>,
    /// The process of the writer.
    generation: u32,
    /// The way to the writer; `None` where the configuration keeps nothing.
    flushes: Option<Flushes>,
    /// Ends the writer when it is dropped, after what was published is written.
    _end: Option<oneshot::Sender<()>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // In a forked child nobody reads what would come: the writer is in the parent.
        if let Some(events) = &self.events
            && self.generation != per_process::generation()
        {
            events.end();
        }
    }
}

/// Asks a writer to say when what was published is written.
type Flushes = mpsc::Sender<oneshot::Sender<()>>;

/// The writers of this process, those included whose logs nobody holds any more.
static WRITERS: PerProcess<Mutex<Vec<Flushes>>> = PerProcess::new();

/// How many events there are.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Head {
    /// Number of the oldest that is kept; one more than `last` when there is none.
    first: u64,
    /// Number of the last.
    last: u64,
}

/// An event as it is stored.
#[derive(Debug, Deserialize, Serialize)]
struct Stored {
    kind: String,
    data: Value,
    time: UnixMicros,
    source: Option<String>,
    request_id: String,
    trace_id: String,
    execution_id: Option<String>,
}

impl From<&Event> for Stored {
    fn from(event: &Event) -> Self {
        Self {
            kind: event.kind.name().to_owned(),
            data: event.data.clone(),
            time: event.time,
            source: event.source.clone(),
            request_id: event.request_id.to_string(),
            trace_id: event.trace_id.to_string(),
            execution_id: event.execution_id.clone(),
        }
    }
}

impl Stored {
    /// As [`Event::to_value`], with the number in the log.
    fn into_value(self, sequence: u64) -> Value {
        Value::map([
            ("kind", Value::from(self.kind)),
            ("data", self.data),
            ("sequence", Value::from(sequence)),
            ("time", Value::from(seconds(self.time))),
            ("source", Value::from(self.source)),
            ("request_id", Value::from(self.request_id)),
            ("trace_id", Value::from(self.trace_id)),
            ("execution_id", Value::from(self.execution_id)),
        ])
    }
}

impl EventLog {
    /// The log of `project`; keeps what is published on the bus of `cx` and fits the patterns of
    /// the configuration.
    ///
    /// # Errors
    ///
    /// `config` for a pattern that no event fits and for a retention of 0.
    pub fn start(project: Project, config: &EventsConfig, cx: &Context) -> Result<Self> {
        if config.retention == 0 {
            return Err(Error::new(ErrorKind::Config, "`events.retention` is `0`")
                .with_hint("give the number of events to keep; `persist = []` keeps none"));
        }
        if config.persist.is_empty() {
            return Ok(Self(Arc::new(Inner {
                project,
                events: None,
                generation: per_process::generation(),
                flushes: None,
                _end: None,
            })));
        }
        let options = QueueOptions {
            capacity: CAPACITY_MAX,
            drop: DropPolicy::Oldest,
        };
        let patterns = config.persist.iter().map(String::as_str);
        let events = cx.events().try_subscribe(patterns, options);
        let events = events.map_err(|error| {
            let message = format!("`events.persist`: {}", error.message());
            let hint = error.hint().unwrap_or_default().to_owned();
            Error::new(ErrorKind::Config, message).with_hint(hint)
        })?;
        let events = Arc::new(events.into_queue());
        let (flushes, asked) = mpsc::channel(FLUSHES_MAX);
        let (end, ended) = oneshot::channel();
        let writer = Writer {
            project: project.clone(),
            cx: cx.clone(),
            retention: config.retention,
            events: Arc::clone(&events),
            dropped_seen: 0,
            lost: 0,
            is_failing: false,
        };
        let _task = io::spawn(writer.run(asked, ended));
        let mut writers = writers().lock().unwrap_or_else(PoisonError::into_inner);
        writers.retain(|it| !it.is_closed());
        writers.push(flushes.clone());
        Ok(Self(Arc::new(Inner {
            project,
            events: Some(events),
            generation: per_process::generation(),
            flushes: Some(flushes),
            _end: Some(end),
        })))
    }

    /// Waits until what was published is written.
    pub async fn flush(&self) {
        if let Some(flushes) = &self.0.flushes {
            flush(flushes).await;
        }
    }

    /// Waits until functions have been given what was published before this call, and until it is
    /// written where it is kept; at most `limit` in all, and not longer than `cx` may. Answers how
    /// much functions have not been given.
    ///
    /// # Errors
    ///
    /// As of [`Context::flush_events`].
    pub async fn flush_events(&self, cx: &Context, limit: Option<Duration>) -> Result<u64> {
        let clock = cx.clock();
        let begun = clock.monotonic();
        let left = cx.flush_events(limit).await?;
        let writing = std::pin::pin!(self.flush());
        let written = async {
            let Some(limit) = limit else {
                return writing.await;
            };
            let spent = clock.monotonic().saturating_sub(begun);
            drop(select(writing, clock.sleep(limit.saturating_sub(spent))).await);
        };
        cx.within(written).await?;
        Ok(left)
    }

    /// Kept events that fit `pattern` and come after the number `after` (0 for the beginning), at
    /// most `limit` of them; oldest first, with the numbers of the log.
    ///
    /// # Errors
    ///
    /// `invalid_args` for a limit out of range and a pattern that no event fits; `unavailable`
    /// where no events are kept; those of the store.
    pub async fn replay(
        &self,
        cx: &Context,
        (after, pattern): (u64, &str),
        limit: usize,
    ) -> Result<Vec<Value>> {
        if !(1..=REPLAY_MAX).contains(&limit) {
            return Err(Error::invalid_args(format!("`limit` is `{limit}`"))
                .with_hint(format!("give a whole number from 1 to {REPLAY_MAX}")));
        }
        let pattern = Pattern::parse(pattern)?;
        // Who only looks makes no store.
        if self.0.flushes.is_none() && !self.0.project.path().exists() {
            return Err(nothing_kept());
        }
        cx.within(self.flush()).await?;
        let keys = self.0.project.keys().await?;
        let prefix = prefix(&self.0.project, cx)?;
        if self.0.flushes.is_none() && find_head(&*keys, &prefix).await?.0.last == 0 {
            return Err(nothing_kept());
        }
        let below = format!("{prefix}event/");
        let mut position = format!("{below}{after:020}");
        let mut found = Vec::new();
        loop {
            cx.check()?;
            let page = keys.scan(&below, Some(&position), PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(found);
            };
            position.clone_from(&last.key);
            for entry in page {
                let number = entry
                    .key
                    .strip_prefix(&below)
                    .and_then(|it| it.parse().ok());
                let read = |value: &[u8]| project::decode::<Stored>("an event", value);
                match entry.record.and_then(|it| read(&it.value)) {
                    Ok(stored) if pattern.matches(&stored.kind) => {
                        found.push(stored.into_value(number.unwrap_or_default()));
                    }
                    Ok(_) => {}
                    // A damaged one does not hide the others.
                    Err(error) => {
                        tracing::warn!(%error, key = entry.key, "an event cannot be read");
                    }
                }
                if found.len() == limit {
                    return Ok(found);
                }
            }
        }
    }
}

fn nothing_kept() -> Error {
    Error::new(ErrorKind::Unavailable, "no events are kept here")
        .with_hint("name those to keep in `aikit.toml`: [events] persist = [\"agent.**\"]")
}

fn writers() -> &'static Mutex<Vec<Flushes>> {
    WRITERS.get_or_init(Mutex::default)
}

async fn flush(flushes: &Flushes) {
    let (done, written) = oneshot::channel();
    if flushes.send(done).await.is_ok() {
        // A writer that has ended has written everything.
        let _ended = written.await;
    }
}

/// As [`settle_within`], with the usual limit.
pub fn settle() {
    settle_within(SETTLE_LIMIT);
}

/// Waits until every log of this process has written what was published, but no longer than `limit`:
/// for the end of a program. Does nothing where no events are kept.
pub fn settle_within(limit: Duration) {
    let writers = std::mem::take(&mut *writers().lock().unwrap_or_else(PoisonError::into_inner));
    if writers.is_empty() {
        return;
    }
    let settling = async move {
        let flushing = std::pin::pin!(async {
            for writer in &writers {
                flush(writer).await;
            }
        });
        let _first = select(flushing, SystemClock.sleep(limit)).await;
    };
    // It cannot fail: nothing asks to stop.
    let _settled = io::wait(settling, || Ok(()));
}

/// The beginning of all keys of a log.
fn prefix(project: &Project, cx: &Context) -> Result<String> {
    Ok(project.space(cx)?.prefix("events"))
}

async fn find_head(keys: &dyn KeyValueStore, prefix: &str) -> Result<(Head, Option<Revision>)> {
    let Some(record) = keys.get(&format!("{prefix}head")).await? else {
        let none = Head { first: 1, last: 0 };
        return Ok((none, None));
    };
    let head = project::decode("the head of the log of events", &record.value)?;
    Ok((head, Some(record.revision)))
}

/// Writes what is published; the only one of its log.
struct Writer {
    project: Project,
    cx: Context,
    retention: u64,
    events: Arc<BroadcastSubscription<Event>>,
    /// Drops of the queue that were told.
    dropped_seen: u64,
    /// Events that could not be kept and were not told yet.
    lost: u64,
    /// Whether the last write failed, so that a failure is logged once.
    is_failing: bool,
}

impl Writer {
    async fn run(
        mut self,
        mut flushes: mpsc::Receiver<oneshot::Sender<()>>,
        mut ended: oneshot::Receiver<()>,
    ) {
        loop {
            tokio::select! {
                // A log that nobody holds any more.
                _gone = &mut ended => return self.write_waiting(None).await,
                Some(done) = flushes.recv() => {
                    self.write_waiting(None).await;
                    // Who asked may have stopped waiting.
                    let _asked = done.send(());
                }
                event = self.events.next() => match event {
                    Some(event) => self.write_waiting(Some(event)).await,
                    // A bus that is gone.
                    None => return,
                },
            }
        }
    }

    /// Writes `first` and all that waits.
    async fn write_waiting(&mut self, first: Option<Arc<Event>>) {
        let mut next = first.or_else(|| self.events.try_next());
        while let Some(event) = next {
            let mut batch = vec![event];
            while let Some(event) = (batch.len() < BATCH_MAX)
                .then(|| self.events.try_next())
                .flatten()
            {
                batch.push(event);
            }
            self.write(&batch).await;
            next = self.events.try_next();
        }
    }

    async fn write(&mut self, events: &[Arc<Event>]) {
        let dropped = self.events.dropped();
        self.lost += dropped - self.dropped_seen;
        self.dropped_seen = dropped;
        let mut encoded = Vec::with_capacity(events.len() + 1);
        for event in events {
            match project::encode("an event", &Stored::from(&**event), EVENT_BYTES_MAX) {
                Ok(bytes) => encoded.push(bytes),
                Err(error) => {
                    self.lost += 1;
                    tracing::warn!(%error, event = event.kind.name(), "an event is not kept");
                }
            }
        }
        let (count, told) = (encoded.len() as u64, self.lost);
        if told > 0 {
            let lost = self.lost_event(events);
            encoded.extend(project::encode("an event", &lost, EVENT_BYTES_MAX));
        }
        match self.append(&encoded).await {
            Ok(()) => {
                self.lost -= told;
                self.is_failing = false;
            }
            Err(error) => {
                self.lost += count;
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(%error, "events cannot be kept; it is tried again with each");
                }
            }
        }
    }

    /// Tells readers of the log that there were more events.
    fn lost_event(&self, events: &[Arc<Event>]) -> Stored {
        Stored {
            kind: EventKind::EventsLost.name().to_owned(),
            data: Value::map([("count", Value::from(self.lost))]),
            time: events
                .last()
                .map_or_else(|| self.cx.clock().wall(), |it| it.time),
            source: None,
            request_id: self.cx.request_id().to_owned(),
            trace_id: self.cx.trace_id().to_owned(),
            execution_id: None,
        }
    }

    /// Gives the events the next numbers, and forgets the oldest beyond the retention.
    async fn append(&self, encoded: &[bytes::Bytes]) -> Result<()> {
        if encoded.is_empty() {
            return Ok(());
        }
        let keys = self.project.keys().await?;
        let prefix = prefix(&self.project, &self.cx)?;
        let event = |number: u64| format!("{prefix}event/{number:020}");
        for attempt in 0..ATTEMPTS_MAX {
            let (mut head, revision) = find_head(&*keys, &prefix).await?;
            let numbered = (head.last + 1..).zip(encoded);
            let mut puts: Vec<_> = numbered
                .map(|(number, it)| (event(number), it.clone()))
                .collect();
            head.last += encoded.len() as u64;
            let oldest = (head.last + 1).saturating_sub(self.retention);
            let kept_from = oldest.clamp(head.first, head.first + FORGET_MAX);
            let deletes = (head.first..kept_from).map(event).collect();
            // What is forgotten may be in this very batch.
            puts.retain(|(key, _)| *key >= event(kept_from));
            head.first = kept_from;
            let head_key = format!("{prefix}head");
            puts.push((
                head_key.clone(),
                project::encode("the head", &head, EVENT_BYTES_MAX)?,
            ));
            let batch = Batch {
                expect: vec![(head_key, revision)],
                puts,
                deletes,
                ..Batch::default()
            };
            match keys.apply(batch).await {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    let longest = 1_u32 << attempt.min(PAUSE_EXPONENT_MAX);
                    let pause = Duration::from_millis(1).mul_f64(f64::from(longest));
                    let clock = self.cx.clock();
                    clock.sleep(pause.mul_f64(clock.jitter())).await;
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "too many programs keep events at once",
        ))
    }
}
