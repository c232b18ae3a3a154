//! The loop between clients and the engine: of each shell one cell at a time, everything else
//! beside it.

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use aikit_core::{
    Context, Result, broadcast,
    clock::{Clock, SystemClock},
    context::Overrides,
    engine::ScriptEngine,
    error::ErrorKind,
    io::{AbortOnDrop, spawn},
};
use futures::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, join_all},
    stream::FuturesUnordered,
};
use tokio::{sync::mpsc, task::JoinSet};
use tracing::{debug, warn};

use crate::{
    archive::{FLUSH_LIMIT, HistoryPlace},
    connection::ConnectionInfo,
    handlers::{
        Desk, Origin, Request, answer,
        execute::{self, Finished},
        input::{Asker, answer_questions},
        lifecycle::interrupt_until_stopped,
        subshell::{self, Shell},
        take_comm,
    },
    life::{self, Parent},
    senders::Senders,
    socket::{Inboxes, Sockets},
    wire::{
        Content,
        execute::ExecuteRequest,
        frame::{Codec, Incoming},
        lifecycle::ShutdownReply,
        status::ExecutionState,
    },
};

/// How long the first request waits for a subscriber, so that its output is not lost.
const SUBSCRIBER_WAIT: Duration = Duration::from_millis(200);
/// How long a running cell may take to stop when the kernel ends.
const CELL_STOP_LIMIT: Duration = Duration::from_secs(2);
/// How long the last messages may take to leave the process.
const SEND_LIMIT: Duration = Duration::from_secs(1);
/// How long functions may take that have not been given all events when the kernel ends.
const EVENTS_LIMIT: Duration = Duration::from_secs(1);
/// A client that runs all cells sends them one by one; a request that comes so soon after the one
/// before belongs with it.
const BATCH_GAP: Duration = Duration::from_millis(10);
/// A client has sent all its cells by so long after the first.
const BATCH_TIME: Duration = Duration::from_millis(100);
/// Most cells that wait in all shells; more wait in the socket.
const WAITING_MAX: usize = 10_000;
/// Most requests answered beside the cell at once; more wait in the socket.
const ANSWERING_MAX: usize = 64;

/// How to bind a kernel.
#[derive(Clone, Debug, Default)]
pub struct KernelOptions {
    /// Where to note the ports that were taken for 0.
    pub connection_file: Option<PathBuf>,
    /// Process without which the kernel has no purpose, from `JPY_PARENT_PID`.
    pub parent_pid: Option<u32>,
    /// Dates messages; the system's when `None`.
    pub clock: Option<Arc<dyn Clock>>,
}

/// What a kernel runs.
#[derive(Clone, Debug)]
pub struct Program {
    /// The language.
    pub engine: Arc<dyn ScriptEngine>,
    /// Parent of every cell's Context: user, tenant, clock.
    pub context: Context,
    /// Asks the user in the front end of this kernel.
    pub asker: Option<Arc<Asker>>,
    /// Where the cells of all sessions are kept; in memory only when `None`.
    pub history: Option<HistoryPlace>,
}

/// Why a kernel ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Exit {
    /// Whether the client will start another one.
    pub restart: bool,
}

/// A kernel whose sockets are bound: clients can connect, and wait for [`Kernel::run`].
#[derive(Debug)]
pub struct Kernel {
    sockets: Sockets,
    inboxes: Inboxes,
    codec: Arc<Codec>,
    connection: ConnectionInfo,
    parent: Option<Parent>,
}

impl Kernel {
    /// Binds the sockets, and writes the connection file when one is given and ports were free
    /// to choose.
    ///
    /// # Errors
    ///
    /// `config` when an address is wrong or taken, and as of [`ConnectionInfo::write`].
    pub async fn bind(mut connection: ConnectionInfo, options: KernelOptions) -> Result<Self> {
        // Before anybody can see that the kernel is there, and end because of that.
        let parent = options.parent_pid.map(Parent::find);
        let clock = options.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let codec = Arc::new(Codec::new(connection.key(), Arc::clone(&clock)));
        let given = connection.clone();
        let (sockets, inboxes) = Sockets::bind(&mut connection, &codec, &clock).await?;
        if let Some(path) = options.connection_file.filter(|_| connection != given) {
            connection.write(&path)?;
        }
        Ok(Self {
            sockets,
            inboxes,
            codec,
            connection,
            parent,
        })
    }

    /// Where clients connect; every port is bound.
    pub fn connection(&self) -> &ConnectionInfo {
        &self.connection
    }

    /// Answers until a client, a signal or the death of the parent ends it.
    ///
    /// A cell that cannot be stopped is left behind: the caller ends the process without waiting
    /// for its threads.
    pub async fn run(self, program: Program) -> Exit {
        let Inboxes {
            shell,
            control,
            stdin,
        } = self.inboxes;
        let desk = Desk::new(
            program.engine,
            Arc::new(self.sockets),
            self.codec,
            program.context.part(Overrides::default()),
            program.history,
        );
        let desk = Arc::new(desk);
        if let Some(asker) = program.asker {
            asker.attach(&desk);
        }
        let (stop, stops) = mpsc::channel(1);
        let beside = [
            spawn(answer_control(Arc::clone(&desk), control, stop.clone())),
            spawn(answer_questions(Arc::clone(&desk), stdin)),
            spawn(life::watch_signals(Arc::clone(&desk), stop.clone())),
            spawn(life::watch_parent(Arc::clone(&desk), self.parent, stop)),
        ];
        let _beside = beside.map(|task| AbortOnDrop(task.abort_handle()));
        let shell_loop = ShellLoop {
            desk,
            shell,
            stops,
            running: FuturesUnordered::new(),
            lanes: HashMap::new(),
            answering: JoinSet::new(),
            senders: Senders::default(),
        };
        shell_loop.run().await
    }
}

/// A reason to end.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) restart: bool,
    /// Who waits for the reply.
    pub(crate) request: Option<Request>,
}

/// What the loop waits for.
enum Input {
    Shell(Incoming),
    Finished(Finished),
    /// A shell was deleted.
    Deleted,
    Stop(Stop),
}

/// The cells of one shell.
struct Lane {
    shell: Arc<Shell>,
    /// Those that wait for the running one.
    waiting: VecDeque<(Request, ExecuteRequest)>,
    is_running: bool,
}

struct ShellLoop {
    desk: Arc<Desk>,
    shell: mpsc::Receiver<Incoming>,
    stops: mpsc::Receiver<Stop>,
    /// The cells that run, one a shell. Polled here and not as tasks of their own: what a cell
    /// tells at its end leaves together with what the next one tells at its begin.
    running: FuturesUnordered<BoxFuture<'static, Finished>>,
    /// By shell.
    lanes: HashMap<Option<Arc<str>>, Lane>,
    /// Requests that are answered beside the running cells.
    answering: JoinSet<()>,
    senders: Senders,
}

impl ShellLoop {
    async fn run(mut self) -> Exit {
        let mut is_first = true;
        let stop = loop {
            let stop = match self.next_input().await {
                Input::Shell(message) => {
                    if std::mem::take(&mut is_first) {
                        self.desk
                            .sockets
                            .iopub
                            .wait_for_subscriber(SUBSCRIBER_WAIT)
                            .await;
                    }
                    self.take_request(message)
                }
                Input::Finished(finished) => self.take_finished(finished).await,
                Input::Deleted => {
                    self.forget_deleted();
                    None
                }
                Input::Stop(stop) => Some(stop),
            };
            if let Some(stop) = stop {
                break stop;
            }
            self.start_all();
        };
        self.stop(stop).await
    }

    async fn next_input(&mut self) -> Input {
        let nobody = || Stop {
            restart: false,
            request: None,
        };
        loop {
            let waiting: usize = self.lanes.values().map(|lane| lane.waiting.len()).sum();
            let has_room = waiting < WAITING_MAX && self.answering.len() < ANSWERING_MAX;
            tokio::select! {
                biased;
                stop = self.stops.recv() => return Input::Stop(stop.unwrap_or_else(nobody)),
                Some(finished) = self.running.next() => return Input::Finished(finished),
                () = self.desk.shells.deleted.notified() => return Input::Deleted,
                // Only to make room.
                Some(_answered) = self.answering.join_next() => {}
                Some(message) = self.shell.recv(), if has_room => return Input::Shell(message),
            }
        }
    }

    /// Queues a cell, or answers one that is behind a failed one, or starts an answer; a shutdown
    /// is returned.
    fn take_request(&mut self, message: Incoming) -> Option<Stop> {
        let clock = self.desk.context.clock();
        let is_behind = self
            .senders
            .was_sent_before_failure(&message.header, &**clock);
        let mut request = Request {
            origin: Origin::Shell,
            message,
        };
        if let Ok(Content::ShutdownRequest(asked)) = &request.message.content {
            return Some(Stop {
                restart: asked.restart,
                request: Some(request),
            });
        }
        let shell = match self.desk.shell_of(&request) {
            Ok(shell) => shell,
            Err(error) => {
                subshell::refuse(&self.desk, &request, &error);
                return None;
            }
        };
        match &mut request.message.content {
            Ok(Content::ExecuteRequest(_)) if is_behind => {
                execute::abort(&self.desk, &shell, &request);
            }
            Ok(Content::ExecuteRequest(asked)) => {
                let asked = std::mem::take(asked);
                self.lane(&shell).waiting.push_back((request, asked));
            }
            _ => {
                if take_comm(&self.desk, &request) {
                    return None;
                }
                let desk = Arc::clone(&self.desk);
                let answering = async move { answer(&desk, &request).await };
                let _handle = self
                    .answering
                    .spawn_on(answering, aikit_core::io::runtime().handle());
            }
        }
        None
    }

    fn lane(&mut self, shell: &Arc<Shell>) -> &mut Lane {
        self.lanes.entry(shell.id.clone()).or_insert_with(|| Lane {
            shell: Arc::clone(shell),
            waiting: VecDeque::new(),
            is_running: false,
        })
    }

    /// Starts the next cell of each shell that has none running.
    fn start_all(&mut self) {
        for lane in self.lanes.values_mut().filter(|lane| !lane.is_running) {
            let Some((request, asked)) = lane.waiting.pop_front() else {
                continue;
            };
            let (desk, shell) = (Arc::clone(&self.desk), Arc::clone(&lane.shell));
            desk.take_cell(&shell);
            // Asked when it is taken: a shell that is deleted from now on stops it.
            if shell.id.as_ref().is_some_and(|id| !desk.shells.has(id)) {
                desk.end_cell(&shell);
                execute::abort(&desk, &shell, &request);
                continue;
            }
            lane.is_running = true;
            let running = async move { execute::run(&desk, shell, request, &asked).await };
            self.running.push(running.boxed());
        }
    }

    /// Answers the cells that wait in shells that were deleted; forgets those without one.
    fn forget_deleted(&mut self) {
        let desk = Arc::clone(&self.desk);
        self.lanes.retain(|id, lane| {
            if id.as_ref().is_none_or(|id| desk.shells.has(id)) {
                return true;
            }
            for (request, _) in std::mem::take(&mut lane.waiting) {
                execute::abort(&desk, &lane.shell, &request);
            }
            lane.is_running
        });
    }

    /// Sends the reply of a cell; after one that failed, the cells behind it are answered too.
    async fn take_finished(&mut self, finished: Finished) -> Option<Stop> {
        let shell = Arc::clone(&finished.shell);
        self.lane(&shell).is_running = false;
        if !finished.stops_queue {
            execute::finish(&self.desk, finished);
            self.forget_deleted();
            return None;
        }
        // What a client sent before it could know of the error is behind the failed cell, even
        // if it is still in the operating system's hands, or about to be sent.
        let mut stop = self.take_all_that_arrived().await;
        let limit = BATCH_TIME.saturating_sub(finished.ran_for);
        stop = stop.or(self.take_batch(limit).await);
        let header = &finished.request.message.header;
        self.senders
            .note_failure(header, &**self.desk.context.clock());
        execute::finish(&self.desk, finished);
        for (request, _) in std::mem::take(&mut self.lane(&shell).waiting) {
            execute::abort(&self.desk, &shell, &request);
        }
        self.forget_deleted();
        stop
    }

    async fn take_all_that_arrived(&mut self) -> Option<Stop> {
        let sockets = Arc::clone(&self.desk.sockets);
        let mut settled = std::pin::pin!(sockets.shell.settle());
        let mut stop = None;
        loop {
            tokio::select! {
                biased;
                Some(message) = self.shell.recv() => stop = stop.or(self.take_request(message)),
                () = &mut settled => break,
            }
        }
        while let Ok(message) = self.shell.try_recv() {
            stop = stop.or(self.take_request(message));
        }
        stop
    }

    /// Takes requests while they come one after the other, at most `limit`.
    async fn take_batch(&mut self, limit: Duration) -> Option<Stop> {
        let mut stop = None;
        let taking = async {
            while let Ok(Some(message)) = tokio::time::timeout(BATCH_GAP, self.shell.recv()).await {
                stop = stop.take().or(self.take_request(message));
            }
        };
        // Whatever comes later was sent later.
        let _ended = tokio::time::timeout(limit, taking).await;
        stop
    }

    /// Ends within five seconds, whatever the cell does.
    async fn stop(mut self, stop: Stop) -> Exit {
        let desk = Arc::clone(&self.desk);
        if !self.running.is_empty() {
            interrupt_until_stopped(&desk);
            let running = &mut self.running;
            let ending = async {
                while let Some(finished) = running.next().await {
                    execute::finish(&desk, finished);
                }
            };
            if tokio::time::timeout(CELL_STOP_LIMIT, ending).await.is_err() {
                debug!("a running cell does not stop and is left behind");
            }
        }
        for lane in self.lanes.values_mut() {
            for (request, _) in std::mem::take(&mut lane.waiting) {
                execute::abort(&desk, &lane.shell, &request);
            }
        }
        // What cells published last is given to the functions that subscribed to it.
        let flushed = desk.context.flush_events(Some(EVENTS_LIMIT)).await;
        if let Some(left) = flushed.ok().filter(|it| *it > 0) {
            warn!(left, "{}", broadcast::LEFT);
        }
        // What cells left running in the background ends too.
        desk.context
            .cancel(ErrorKind::Cancelled, "the kernel shuts down");
        let shells = desk.shells.all();
        let archives = shells.iter().filter_map(|shell| shell.archive.as_ref());
        join_all(archives.map(|archive| archive.flush(FLUSH_LIMIT))).await;
        let reply = Content::from(ShutdownReply {
            restart: stop.restart,
        });
        if let Some(request) = &stop.request {
            desk.publish_state(request, ExecutionState::Busy);
            desk.reply(request, &reply);
            // Other clients of the same kernel hear of it.
            desk.publish(request, &reply);
            desk.publish_state(request, ExecutionState::Idle);
        }
        desk.sockets.flush(SEND_LIMIT).await;
        desk.sockets.close().await;
        Exit {
            restart: stop.restart,
        }
    }
}

async fn answer_control(
    desk: Arc<Desk>,
    mut control: mpsc::Receiver<Incoming>,
    stop: mpsc::Sender<Stop>,
) {
    while let Some(message) = control.recv().await {
        let request = Request {
            origin: Origin::Control,
            message,
        };
        if let Ok(Content::ShutdownRequest(asked)) = request.message.content {
            let stopping = Stop {
                restart: asked.restart,
                request: Some(request),
            };
            // The loop that would hear it is ending already.
            let _ending = stop.send(stopping).await;
        } else {
            answer(&desk, &request).await;
        }
    }
}
