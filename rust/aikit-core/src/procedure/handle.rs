//! The handle of a started procedure: its result, its events, its end.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    Error, ErrorKind, Result, Value,
    context::Context,
    event::{Event, EventLog},
    io,
};

/// Stands for a running procedure. Dropping every handle cancels the work.
#[derive(Debug)]
pub struct Handle {
    cx: Context,
    log: Arc<EventLog>,
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

impl Handle {
    /// Starts `body` on the I/O runtime; it gets a Context whose events the handle keeps.
    pub fn start<F>(cx: &Context, body: impl FnOnce(Context) -> F) -> Self
    where
        F: Future<Output = Result<Value>> + Send + 'static,
    {
        let log = Arc::new(EventLog::default());
        let cx = cx.child_with_log(Arc::clone(&log));
        let (sender, outcome) = watch::channel(None);
        let work = body(cx.clone());
        let end = End {
            log: Arc::clone(&log),
            outcome: sender,
            result: None,
        };
        let task = io::spawn(async move {
            end.settle(work.await);
        });
        Self {
            cx,
            log,
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
            Ok(Some(Err(error))) => Err(Error::from_value(&error.to_value())),
            // `End` always sends one.
            _ => Err(Error::internal("a procedure ended without an outcome")),
        }
    }

    /// The event after position `after` (0 for the first); `None` after the last one.
    pub async fn event(&self, after: u64) -> Option<Arc<Event>> {
        self.log.next(after).await
    }

    /// Asks the work to end; its result is then an error of kind `cancelled`.
    pub fn cancel(&self, reason: impl Into<String>) {
        self.cx.cancel(ErrorKind::Cancelled, reason);
    }

    /// Whether the work has ended.
    pub fn is_finished(&self) -> bool {
        self.outcome.borrow().is_some()
    }

    /// The Context the work runs in.
    pub fn context(&self) -> &Context {
        &self.cx
    }
}
