//! The loop between clients and the engine: of each shell one cell at a time, everything else
//! beside it.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use aikit_core::{
    Context, Error, ErrorKind, Result,
    clock::{Clock, SystemClock},
    context::Overrides,
    engine::ScriptEngine,
    io::{AbortOnDrop, spawn},
};
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    archive::HistoryPlace,
    connection::ConnectionInfo,
    end::End,
    handlers::{
        Desk, Origin, Request, answer,
        execute::{self, Finished},
        input::{Asker, answer_questions},
        subshell::Shell,
        take_at_once,
    },
    lane::Lane,
    life::{self, Parent},
    senders::Senders,
    socket::{Inboxes, Sockets, cork::corked},
    wire::{
        Content,
        frame::{Codec, Incoming},
    },
};

/// How long the first request waits for a subscriber, so that its output is not lost.
const SUBSCRIBER_WAIT: Duration = Duration::from_millis(200);
/// Most requests answered beside the cell at once; more wait in the socket, and on control are
/// refused.
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
    /// What is left of the time in which the process has to end, for its host.
    pub time_left: Duration,
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
            settling: FuturesUnordered::new(),
            lanes: HashMap::new(),
            answering: JoinSet::new(),
            senders: Senders::default(),
        };
        corked(shell_loop.run()).await
    }
}

/// A reason to end.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) restart: bool,
    /// Who waits for the reply.
    pub(crate) request: Option<Request>,
}

/// Which shell; `None` is the main one.
type ShellId = Option<Arc<str>>;

/// What the loop waits for.
enum Input {
    Shell(Incoming),
    Finished(Finished),
    /// What was sent behind the failed cell of this shell is there.
    Settled(ShellId),
    /// A shell was deleted.
    Deleted,
    Stop(Stop),
}

struct ShellLoop {
    desk: Arc<Desk>,
    shell: mpsc::Receiver<Incoming>,
    stops: mpsc::Receiver<Stop>,
    /// The cells that run, one a shell. Polled here and not as tasks of their own: what a cell
    /// tells at its end leaves together with what the next one tells at its begin.
    running: FuturesUnordered<BoxFuture<'static, Finished>>,
    /// The shells in which a cell failed and those behind it are waited for.
    settling: FuturesUnordered<BoxFuture<'static, ShellId>>,
    lanes: HashMap<ShellId, Lane>,
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
                Input::Finished(finished) => {
                    self.take_finished(finished);
                    None
                }
                Input::Settled(id) => self.take_settled(&id),
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
            let has_room = self.answering.len() < ANSWERING_MAX;
            tokio::select! {
                biased;
                stop = self.stops.recv() => return Input::Stop(stop.unwrap_or_else(nobody)),
                Some(finished) = self.running.next() => return Input::Finished(finished),
                Some(id) = self.settling.next() => return Input::Settled(id),
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
                self.desk.refuse(&request, &error);
                return None;
            }
        };
        if let Some(lane) = self.lanes.get(&shell.id) {
            lane.note_arrival();
        }
        match &mut request.message.content {
            Ok(Content::ExecuteRequest(_)) if is_behind => {
                execute::abort(&self.desk, &shell, &request);
            }
            Ok(Content::ExecuteRequest(asked)) => {
                let asked = std::mem::take(asked);
                let desk = Arc::clone(&self.desk);
                let all_bytes = self.lanes.values().map(Lane::waiting_bytes).sum();
                self.lane(&shell).queue(&desk, (request, asked), all_bytes);
            }
            _ => {
                if take_at_once(&self.desk, &request) {
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
        let lane = self.lanes.entry(shell.id.clone());
        lane.or_insert_with(|| Lane::new(Arc::clone(shell)))
    }

    /// Starts the next cell of each shell that has none running.
    fn start_all(&mut self) {
        for lane in self.lanes.values_mut() {
            let Some((request, asked)) = lane.begin() else {
                continue;
            };
            let (desk, shell) = (Arc::clone(&self.desk), Arc::clone(&lane.shell));
            desk.take_cell(&shell);
            // Asked when it is taken: a shell that is deleted from now on stops it.
            if shell.id.as_ref().is_some_and(|id| !desk.shells.has(id)) {
                desk.end_cell(&shell);
                lane.end();
                execute::abort(&desk, &shell, &request);
                continue;
            }
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
            lane.end_failed(&desk, &mut self.senders);
            lane.abort_waiting(&desk);
            !lane.is_idle()
        });
    }

    /// Sends the reply of a cell; of one that failed, when those behind it are there.
    fn take_finished(&mut self, finished: Finished) {
        let desk = Arc::clone(&self.desk);
        let lane = self.lane(&finished.shell);
        if !finished.stops_queue {
            lane.end();
            execute::finish(&desk, finished);
            return self.forget_deleted();
        }
        let id = lane.shell.id.clone();
        let settled = lane.fail(desk, finished).map(|()| id);
        self.settling.push(settled.boxed());
    }

    /// Sends the reply of a cell that failed, and answers those behind it.
    fn take_settled(&mut self, id: &ShellId) -> Option<Stop> {
        let mut stop = None;
        // What had arrived is in the inbox, if it was not taken yet; what comes from now on was sent
        // later, and whoever never stops sending holds up nobody.
        for _ in 0..self.shell.len() {
            if let Ok(message) = self.shell.try_recv() {
                stop = stop.or(self.take_request(message));
            }
        }
        if let Some(lane) = self.lanes.get_mut(id) {
            lane.end_failed(&self.desk, &mut self.senders);
        }
        self.forget_deleted();
        stop
    }

    /// Ends in time, whatever the cell does.
    async fn stop(mut self, stop: Stop) -> Exit {
        let desk = Arc::clone(&self.desk);
        let end = End::begin(&desk);
        for lane in self.lanes.values_mut() {
            lane.end_failed(&desk, &mut self.senders);
        }
        end.stop_cells(&desk, &mut self.running).await;
        for lane in self.lanes.values_mut() {
            lane.abort_waiting(&desk);
        }
        end.hand_over(&desk).await;
        end.answer(&desk, &stop).await;
        Exit {
            restart: stop.restart,
            time_left: end.time_left(),
        }
    }
}

/// Answers what comes on control. A shutdown and an interrupt are heard whatever else is being
/// answered; what needs no waiting is answered in the order in which it came.
async fn answer_control(
    desk: Arc<Desk>,
    mut control: mpsc::Receiver<Incoming>,
    stop: mpsc::Sender<Stop>,
) {
    let mut answering = FuturesUnordered::new();
    loop {
        let message = tokio::select! {
            Some(()) = answering.next() => continue,
            message = control.recv() => message,
        };
        let Some(message) = message else { return };
        let request = Request {
            origin: Origin::Control,
            message,
        };
        match &request.message.content {
            Ok(Content::ShutdownRequest(asked)) => {
                let restart = asked.restart;
                let stopping = Stop {
                    restart,
                    request: Some(request),
                };
                // The loop that would hear it is ending already.
                let _ending = stop.send(stopping).await;
            }
            Ok(Content::InterruptRequest(_)) => answer(&desk, &request).await,
            _ if answering.len() >= ANSWERING_MAX => {
                let message = format!("{ANSWERING_MAX} requests on control are being answered");
                let error = Error::new(ErrorKind::LimitExceeded, message);
                desk.refuse(&request, &error.with_hint("send it again when they are"));
            }
            _ => {
                let desk = Arc::clone(&desk);
                let mut answer = async move { answer(&desk, &request).await }.boxed();
                if (&mut answer).now_or_never().is_none() {
                    answering.push(answer);
                }
            }
        }
    }
}
