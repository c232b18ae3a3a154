//! The cells of one shell: the one that runs, those that wait for it, and what becomes of them when
//! it fails.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use aikit_core::{Error, ErrorKind};
use tokio::sync::Notify;

use crate::{
    handlers::{
        Desk, Request,
        execute::{self, Finished},
        subshell::Shell,
    },
    senders::Senders,
    wire::execute::ExecuteRequest,
};

/// A client that runs all cells sends them one by one; a request that comes so soon after the one
/// before belongs with it.
const BATCH_GAP: Duration = Duration::from_millis(10);
/// A client has sent all its cells by so long after the first.
const BATCH_TIME: Duration = Duration::from_millis(100);
/// Most cells that wait in one shell; more are refused, so that they hold up nothing else.
const WAITING_MAX: usize = 10_000;
/// What cells may take that wait in all shells: two of the largest messages.
const WAITING_BYTES_MAX: usize = 1 << 27;
/// What one that waits takes beside the bytes of its message.
const CELL_COST_BYTES: usize = 1 << 10;

/// The cells of one shell.
pub(crate) struct Lane {
    pub(crate) shell: Arc<Shell>,
    /// Those that wait for the running one.
    waiting: VecDeque<(Request, ExecuteRequest)>,
    /// What these take.
    waiting_bytes: usize,
    /// Whether one was refused since the shell was idle.
    has_refused: bool,
    state: State,
    /// Told of each request that comes while it is [`State::Failed`].
    arrived: Arc<Notify>,
}

enum State {
    Idle,
    Running,
    /// A cell failed, and its client is told when those behind it are there.
    Failed(Box<Finished>),
}

impl Lane {
    pub(crate) fn new(shell: Arc<Shell>) -> Self {
        Self {
            shell,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            has_refused: false,
            state: State::Idle,
            arrived: Arc::default(),
        }
    }

    /// What the cells that wait take, in bytes.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Whether no cell runs, and none that failed is waited behind.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Lets a cell wait, unless too many do; those in all shells take `all_bytes`. Once one was
    /// refused, all are until the shell is idle: a cell must not run where one that was sent before
    /// it did not.
    pub(crate) fn queue(
        &mut self,
        desk: &Desk,
        (request, asked): (Request, ExecuteRequest),
        all_bytes: usize,
    ) {
        if self.waiting.is_empty() && self.is_idle() {
            self.has_refused = false;
        } else if let Some(message) = self.refusal(all_bytes) {
            self.has_refused = true;
            let error = Error::new(ErrorKind::LimitExceeded, message)
                .with_hint("send the cell again when all that were sent before it have run");
            return execute::refuse(desk, &self.shell, &request, &error);
        }
        self.waiting_bytes += cost_bytes(&request);
        self.waiting.push_back((request, asked));
    }

    /// Why no cell may wait any more, if so.
    fn refusal(&self, all_bytes: usize) -> Option<String> {
        if self.waiting.len() >= WAITING_MAX {
            return Some(format!("{WAITING_MAX} cells waited in this shell"));
        }
        if all_bytes >= WAITING_BYTES_MAX {
            let mib = WAITING_BYTES_MAX >> 20;
            return Some(format!("cells of {mib} MiB waited in all shells together"));
        }
        self.has_refused
            .then(|| "a cell sent before this one was refused".to_owned())
    }

    /// Takes the next cell when none runs; it runs from now on.
    pub(crate) fn begin(&mut self) -> Option<(Request, ExecuteRequest)> {
        if !self.is_idle() {
            return None;
        }
        let (request, asked) = self.waiting.pop_front()?;
        self.waiting_bytes -= cost_bytes(&request);
        self.state = State::Running;
        Some((request, asked))
    }

    /// The cell that ran has ended, or did not begin.
    pub(crate) fn end(&mut self) {
        self.state = State::Idle;
    }

    /// The cell that ran failed. The future ends when what its client sent behind it is there,
    /// before it could know of the error. Some of it may still be in the operating system's hands,
    /// or about to be sent.
    pub(crate) fn fail(
        &mut self,
        desk: Arc<Desk>,
        finished: Finished,
    ) -> impl Future<Output = ()> + Send + use<> {
        let limit = BATCH_TIME.saturating_sub(finished.ran_for);
        self.state = State::Failed(Box::new(finished));
        let arrived = Arc::clone(&self.arrived);
        async move {
            desk.sockets.shell.settle().await;
            let wait = || tokio::time::timeout(BATCH_GAP, arrived.notified());
            let gaps = async { while wait().await.is_ok() {} };
            // Whatever comes later was sent later.
            let _ended = tokio::time::timeout(limit, gaps).await;
        }
    }

    /// A request for this shell came.
    pub(crate) fn note_arrival(&self) {
        if let State::Failed(_) = self.state {
            self.arrived.notify_one();
        }
    }

    /// Tells the client of the cell that failed, if one did, and answers those behind it.
    pub(crate) fn end_failed(&mut self, desk: &Desk, senders: &mut Senders) {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Failed(finished) => {
                let header = &finished.request.message.header;
                senders.note_failure(header, &**desk.context.clock());
                execute::finish(desk, *finished);
                self.abort_waiting(desk);
            }
            other => self.state = other,
        }
    }

    /// Answers the cells that wait.
    pub(crate) fn abort_waiting(&mut self, desk: &Desk) {
        self.waiting_bytes = 0;
        for (request, _) in std::mem::take(&mut self.waiting) {
            execute::abort(desk, &self.shell, &request);
        }
    }
}

fn cost_bytes(request: &Request) -> usize {
    request.message.size + CELL_COST_BYTES
}
