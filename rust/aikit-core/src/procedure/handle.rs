//! The handle of a started procedure: its result, its events, its end.

use std::{fmt, sync::Arc};

use tokio::sync::watch;

use crate::{
    Error, ErrorKind, Result, Value,
    context::{Context, Overrides},
    event::{Event, EventLog, dotted},
    graph::{Status, Tree},
    io,
    metrics::UsageSums,
};

/// Stands for a running procedure. Dropping every handle cancels the work.
#[derive(Debug)]
pub struct Handle {
    view: HandleView,
    outcome: watch::Receiver<Option<Result<Value, Arc<Error>>>>,
    _task: io::AbortOnDrop,
}

/// Ends a handle's events and tells its outcome, also when the work panics or is thrown away.
struct End {
    log: Arc<EventLog>,
    outcome: watch::Sender<Option<Result<Value, Arc<Error>>>>,
    result: Option<Result<Value>>,
}

impl End {
    /// Ends with the outcome of the work.
    fn settle(mut self, result: Result<Value>) {
        self.result = Some(result);
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let result = self.result.take();
        let result = result.unwrap_or_else(|| {
            let hint = "this is a fault of aikit or of a function it called; report it";
            Err(Error::internal("a procedure ended without an outcome").with_hint(hint))
        });
        self.log.close();
        self.outcome.send_replace(Some(result.map_err(Arc::new)));
    }
}

/// The events and the cancellation of an operation, without its result; cheap to clone.
#[derive(Clone, Debug)]
pub struct HandleView {
    cx: Context,
    log: Arc<EventLog>,
}

impl HandleView {
    /// The view of the operation that `cx` belongs to, when somebody holds its handle.
    pub fn of(cx: &Context) -> Option<Self> {
        let log = Arc::clone(cx.operation_events()?);
        let cx = cx.clone();
        Some(Self { cx, log })
    }

    /// The event after position `after` (0 for the first); `None` after the last one.
    pub async fn event(&self, after: u64) -> Option<Arc<Event>> {
        self.log.next(after).await
    }

    /// The events until now.
    pub fn events_until_now(&self) -> Vec<Arc<Event>> {
        self.log.until_now()
    }

    /// How many events the handle keeps no more: the oldest, beyond 65,536. Readers that come too
    /// late for them get an event `events.lost` with their `count`.
    pub fn dropped(&self) -> u64 {
        self.log.dropped()
    }

    /// Whether both are of one operation.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.log, &other.log)
    }

    /// Calls `listener` with each event of that name, or with every one for `*`, those before this
    /// call included; until the operation ends or the guard is dropped.
    ///
    /// A colon in the name means a dot: `procedure:start` is `procedure.start`.
    pub fn on(
        &self,
        name: &str,
        mut listener: impl FnMut(Arc<Event>) + Send + 'static,
    ) -> io::AbortOnDrop {
        let wanted = dotted(name).into_owned();
        let log = Arc::clone(&self.log);
        let listening = async move {
            let mut position = 0;
            while let Some(event) = log.next(position).await {
                position = event.sequence;
                if wanted == "*" || wanted == event.kind.name() {
                    listener(event);
                }
            }
        };
        io::AbortOnDrop(io::spawn(listening).abort_handle())
    }

    /// What the operation has used until now, whatever it is: the `usage.*` metrics of all its
    /// procedures, those that still run and those of handles started in it included.
    pub fn usage(&self) -> UsageSums {
        let total = self.cx.operation_total();
        total.map_or_else(UsageSums::default, |it| it.usage())
    }

    /// Asks the work to end; its result is then an error of kind `cancelled`.
    pub fn cancel(&self, reason: impl Into<String>) {
        self.cx.cancel_operation(ErrorKind::Cancelled, reason);
    }
}

/// Makes what a handle stands on. Replace it to keep the events of several operations together, or
/// to give the work a Context of your own.
pub trait HandleFactory: fmt::Debug + Send + Sync {
    /// The Context below `cx` in which `operation` runs, and where its events are kept.
    fn open(&self, cx: &Context, operation: &str) -> (Context, Arc<EventLog>) {
        let _ = operation;
        (cx.part(Overrides::default()), Arc::new(EventLog::default()))
    }
}

/// A Context and a log for each operation.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnEvents;

impl HandleFactory for OwnEvents {}

impl Handle {
    /// Starts `body` on the I/O runtime; it gets a Context whose events the handle keeps.
    pub fn start<F>(cx: &Context, body: impl FnOnce(Context) -> F) -> Self
    where
        F: Future<Output = Result<Value>> + Send + 'static,
    {
        Self::open(&OwnEvents, cx, "", body)
    }

    pub(super) fn open<F>(
        factory: &dyn HandleFactory,
        cx: &Context,
        operation: &str,
        body: impl FnOnce(Context) -> F,
    ) -> Self
    where
        F: Future<Output = Result<Value>> + Send + 'static,
    {
        let (cx, log) = factory.open(cx, operation);
        log.open();
        let cx = cx.child_with_log(Arc::clone(&log));
        let (sender, outcome) = watch::channel(None);
        // First, so that a panic of `body` ends it too.
        let end = End {
            log: Arc::clone(&log),
            outcome: sender,
            result: None,
        };
        let work = body(cx.clone());
        let task = io::spawn(async move {
            end.settle(work.await);
        });
        Self {
            view: HandleView { cx, log },
            outcome,
            _task: io::AbortOnDrop(task.abort_handle()),
        }
    }

    /// Waits for the result; may be asked again.
    ///
    /// # Errors
    ///
    /// The procedure's own.
    pub async fn result(&self) -> Result<Value> {
        let mut outcome = self.outcome.clone();
        let settled = outcome.wait_for(Option::is_some).await;
        match settled.as_deref() {
            Ok(Some(Ok(value))) => Ok(value.clone()),
            Ok(Some(Err(error))) => Err(error.copy()),
            // `End` always sends one.
            _ => Err(Error::internal("a procedure ended without an outcome")),
        }
    }

    /// The event after position `after` (0 for the first); `None` after the last one.
    pub async fn event(&self, after: u64) -> Option<Arc<Event>> {
        self.view.event(after).await
    }

    /// The events until now.
    pub fn events_until_now(&self) -> Vec<Arc<Event>> {
        self.view.events_until_now()
    }

    /// What the work has used until now; see [`HandleView::usage`].
    pub fn usage(&self) -> UsageSums {
        self.view.usage()
    }

    /// How many events it keeps no more, see [`HandleView::dropped`].
    pub fn dropped(&self) -> u64 {
        self.view.dropped()
    }

    /// Asks the work to end; its result is then an error of kind `cancelled`.
    pub fn cancel(&self, reason: impl Into<String>) {
        self.view.cancel(reason);
    }

    /// Its events and its cancellation.
    pub const fn view(&self) -> &HandleView {
        &self.view
    }

    /// Whether the work has ended.
    pub fn is_finished(&self) -> bool {
        self.outcome.borrow().is_some()
    }

    /// Where the work stands.
    pub fn status(&self) -> Status {
        match self.outcome.borrow().as_ref() {
            None => Status::Running,
            Some(outcome) => Status::of(outcome.as_ref().err().map(|error| &**error)),
        }
    }

    /// The Context the work runs in.
    pub const fn context(&self) -> &Context {
        &self.view.cx
    }

    /// The executions around the work, as they are now.
    pub fn tree(&self) -> Tree {
        let (graph, node) = (self.view.cx.graph(), self.view.cx.node());
        node.map_or_else(|| Tree::of(graph), |it| Tree::below(graph, it.pid))
    }

    /// W3C trace id of the work.
    pub fn trace_id(&self) -> &str {
        self.view.cx.trace_id()
    }
}
