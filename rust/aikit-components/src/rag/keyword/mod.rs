//! The keyword index: BM25 over the words of chunks, derived from the stored rows.
//!
//! Each process has its own index in memory and follows the history of the store, so nobody waits
//! for anybody's lock and nothing is half written. What costs time, taking many texts in, is spared
//! to the next process by a file beside the store ([`file`]); a file that is damaged, of another
//! store or of another language is left aside, and the index is made from the rows.

mod file;
mod index;
mod words;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    event::EventKind,
    io,
    storage::{Changes, DocumentStore, History, Scored, StoredChunk},
};
use tracing::{debug, warn};

pub(super) use self::words::Language;
use self::{
    index::{Index, Page},
    words::Question,
};
use super::{embedding::EmbedInput, ids::Ids, reading::Readings};

/// Rows of the history read at once.
const PAGE_ROWS: usize = 1_024;

/// Pages that become visible together: a call that is cancelled loses no more work than that.
const BATCH_PAGES: usize = 8;

/// Distinct words of a question that are looked for.
const QUESTION_WORDS_MAX: usize = 256;

/// Least changes for which the file is written anew: fewer are quicker to repeat.
const SAVE_CHANGES_MIN: usize = 1_024;

/// The file is written anew when this part of the chunks has changed.
const SAVE_PART: usize = 8;

/// Share of deleted chunks above which the index is compacted: they still count as chunks that
/// have a word.
const DELETED_SHARE_MAX: f32 = 0.2;

/// What a search by words needs in memory.
#[derive(Debug)]
pub(super) struct Keyword {
    follower: Arc<Follower>,
    readings: Readings<Arc<State>>,
}

#[derive(Debug)]
struct Follower {
    store: Arc<dyn DocumentStore>,
    language: Language,
    file: Option<PathBuf>,
    // Std locks: they are never held across an await.
    current: Mutex<Option<Arc<State>>>,
    /// Why an index was left aside, until somebody is told.
    rebuilt: Mutex<Option<String>>,
}

#[derive(Debug)]
struct State {
    index: Index,
    /// Held by who changes the index; the numbers below are written by nobody else.
    turn: Mutex<()>,
    /// Up to where the history is in the index.
    reached: AtomicU64,
    damaged: AtomicUsize,
    /// Chunks that came or went since the file was written.
    unsaved: AtomicUsize,
}

/// A page of the history and where it ends.
type Step = (Page, u64, usize);

impl Keyword {
    pub(super) fn new(
        store: Arc<dyn DocumentStore>,
        language: Language,
        path: Option<&Path>,
    ) -> Self {
        let follower = Follower {
            store,
            language,
            file: path.map(file::beside),
            current: Mutex::default(),
            rebuilt: Mutex::default(),
        };
        Self {
            follower: Arc::new(follower),
            readings: Readings::default(),
        }
    }

    /// Forgets the file beside the store when it tells of a history that the store does not have:
    /// the store was deleted and made anew, or is an older copy of itself. To be called before
    /// anything is written, because later the two histories could look alike.
    pub(super) async fn check_file(&self) -> Result<()> {
        let Some(path) = self.follower.file.clone() else {
            return Ok(());
        };
        let is_there = path.clone();
        if !io::spawn_blocking(move || Ok(is_there.exists())).await? {
            return Ok(());
        }
        self.follower.load().await.map(drop)
    }

    /// The `k` chunks that have the words of a question best, best first; of `kept` alone, if that
    /// is given. `seen` is a place in the history that the answer must not be older than.
    pub(super) async fn search(
        &self,
        cx: &Context,
        question: &str,
        (k, kept): (usize, Option<Arc<Ids>>),
        seen: u64,
    ) -> Result<Vec<Scored>> {
        let question = self
            .follower
            .language
            .question(question, QUESTION_WORDS_MAX);
        if question.words.is_empty() {
            return Ok(Vec::new());
        }
        let state = self.follow(seen).await?;
        let first = find(&state, question.clone(), k, kept.clone()).await;
        let found = match first {
            Ok(found) => Ok(found),
            Err(error) => {
                // The rows are the truth: an index that fails is made anew from them, once.
                self.follower.discard(&state, &error);
                let state = self.follow(u64::MAX).await?;
                find(&state, question, k, kept).await
            }
        };
        self.tell(cx);
        found
    }

    /// Takes in what was stored, and writes the file when enough has changed.
    pub(super) async fn catch_up(&self) -> Result<()> {
        self.follow(u64::MAX).await.map(drop)
    }

    /// Whether the file would be written once `changes` chunks came or went.
    pub(super) fn is_worth_saving(&self, changes: usize) -> bool {
        self.follower.file.is_some() && changes >= SAVE_CHANGES_MIN
    }

    async fn follow(&self, seen: u64) -> Result<Arc<State>> {
        if let Some(state) = self.follower.current().filter(|it| it.reached() >= seen) {
            return Ok(state);
        }
        let begin = || {
            let follower = Arc::clone(&self.follower);
            async move { follower.follow().await }
        };
        self.readings.follow(begin).await
    }

    /// Publishes that the index had to be made anew, if it had.
    fn tell(&self, cx: &Context) {
        let reason = lock(&self.follower.rebuilt).take();
        if let Some(reason) = reason.filter(|_| cx.is_observed()) {
            let data = [("index", "keyword".into()), ("reason", Value::from(reason))];
            cx.emit(EventKind::IndexRebuilt, Value::map(data));
        }
    }
}

async fn find(
    state: &Arc<State>,
    question: Question,
    k: usize,
    kept: Option<Arc<Ids>>,
) -> Result<Vec<Scored>> {
    let state = Arc::clone(state);
    io::spawn_blocking(move || state.index.search(&question, k, kept)).await
}

impl Follower {
    async fn follow(self: Arc<Self>) -> Result<Arc<State>> {
        let mut state = match self.current() {
            Some(state) => state,
            None => self.load().await?,
        };
        let mut is_new = false;
        loop {
            let reached = state.reached();
            let Some(steps) = self.steps(reached).await? else {
                // Too far behind for the history: from the beginning.
                state = self.replace(State::empty(self.language)?);
                continue;
            };
            if steps.is_empty() {
                break;
            }
            let taken = {
                let state = Arc::clone(&state);
                io::spawn_blocking(move || state.take(reached, steps)).await
            };
            match taken {
                Ok(()) => {}
                Err(error) if is_new => return Err(error),
                Err(error) => {
                    self.discard(&state, &error);
                    state = self.replace(State::empty(self.language)?);
                    is_new = true;
                }
            }
        }
        self.save(&state).await;
        Ok(state)
    }

    /// What came after `reached`, page by page; `None` when the history does not reach back there.
    async fn steps(&self, reached: u64) -> Result<Option<Vec<Step>>> {
        let (mut steps, mut after) = (Vec::new(), reached);
        while steps.len() < BATCH_PAGES {
            let changes = self.store.texts(after, PAGE_ROWS).await?;
            if changes.must_restart {
                return Ok(None);
            }
            let is_last = changes.items.len() < PAGE_ROWS;
            let Some(last) = changes.items.last().map(|it| it.sequence) else {
                break;
            };
            after = last;
            let (page, damaged) = page(changes);
            steps.push((page, last, damaged));
            if is_last {
                break;
            }
        }
        Ok(Some(steps))
    }

    /// The index of the file, or an empty one.
    async fn load(&self) -> Result<Arc<State>> {
        let Some(path) = self.file.clone() else {
            return Ok(self.replace(State::empty(self.language)?));
        };
        let read = io::spawn_blocking(move || file::read(&path)).await;
        // After the file: the history can only be longer than it was when the file was made.
        let history = self.store.history().await?;
        let language = self.language;
        let opened = match read {
            Ok(None) => return Ok(self.replace(State::empty(language)?)),
            Ok(Some(contents)) => {
                let open = move || State::from_file(&contents, &history, language);
                io::spawn_blocking(open).await
            }
            Err(error) => Err(error),
        };
        match opened {
            Ok(state) => Ok(self.replace(state)),
            Err(error) => {
                self.note(&error);
                if let Some(path) = self.file.clone() {
                    let removed = io::spawn_blocking(move || Ok(std::fs::remove_file(path)?));
                    // One that cannot be removed is left aside again next time.
                    drop(removed.await);
                }
                Ok(self.replace(State::empty(language)?))
            }
        }
    }

    /// Writes the file when enough has changed. That it cannot be written costs the next process
    /// time and nobody an answer.
    async fn save(&self, state: &Arc<State>) {
        let Some(path) = self.file.clone() else {
            return;
        };
        if !state.is_worth_saving() {
            return;
        }
        let saved = async {
            let history = self.store.history().await?;
            let (state, language) = (Arc::clone(state), self.language);
            io::spawn_blocking(move || state.save(&path, history, language)).await
        };
        if let Err(error) = saved.await {
            debug!(%error, "the keyword index is not kept in a file");
        }
    }

    /// Leaves an index aside that failed, unless another one has taken its place already.
    fn discard(&self, state: &Arc<State>, error: &Error) {
        let mut current = lock(&self.current);
        if current.as_ref().is_some_and(|it| Arc::ptr_eq(it, state)) {
            self.note(error);
            *current = None;
            if let Some(path) = &self.file {
                // Else the same bytes would be loaded again.
                drop(std::fs::remove_file(path));
            }
        }
    }

    fn note(&self, error: &Error) {
        warn!(%error, "the keyword index is made anew");
        *lock(&self.rebuilt) = Some(error.message().to_owned());
    }

    fn replace(&self, state: State) -> Arc<State> {
        let state = Arc::new(state);
        *lock(&self.current) = Some(Arc::clone(&state));
        state
    }

    fn current(&self) -> Option<Arc<State>> {
        lock(&self.current).clone()
    }
}

impl State {
    fn empty(language: Language) -> Result<Self> {
        Ok(Self {
            index: Index::empty(language)?,
            turn: Mutex::default(),
            reached: AtomicU64::new(0),
            damaged: AtomicUsize::new(0),
            unsaved: AtomicUsize::new(0),
        })
    }

    /// The index of a file, if it fits the store and the language.
    fn from_file(contents: &file::Contents, history: &History, language: Language) -> Result<Self> {
        let header = &contents.header;
        let of_store = &header.history;
        let foreign = |what: &str| Err(Error::new(ErrorKind::Conflict, what));
        if of_store.identity != history.identity || of_store.sequence > history.sequence {
            return foreign("the keyword index is of another store or of a later state of it");
        }
        if header.language != language.name {
            return foreign("the keyword index is of another language");
        }
        Ok(Self {
            index: Index::from_files(&contents.files(), language)?,
            turn: Mutex::default(),
            reached: AtomicU64::new(of_store.sequence),
            damaged: AtomicUsize::new(header.damaged),
            unsaved: AtomicUsize::new(0),
        })
    }

    fn reached(&self) -> u64 {
        self.reached.load(Ordering::Acquire)
    }

    /// Takes steps in that begin at `after`. Those that another reading has taken meanwhile are left
    /// alone.
    fn take(&self, after: u64, steps: Vec<Step>) -> Result<()> {
        let _turn = lock(&self.turn);
        if self.reached() != after {
            return Ok(());
        }
        let (mut pages, mut end) = (Vec::with_capacity(steps.len()), after);
        let (mut damaged, mut changes) = (0, 0);
        for (page, last, page_damaged) in steps {
            changes += page.added.len() + page.deleted.len();
            damaged += page_damaged;
            end = last;
            pages.push(page);
        }
        self.index.take(pages)?;
        if self.index.deleted_share() > DELETED_SHARE_MAX {
            self.index.compact()?;
        }
        self.damaged.fetch_add(damaged, Ordering::Relaxed);
        self.unsaved.fetch_add(changes, Ordering::Relaxed);
        self.reached.store(end, Ordering::Release);
        Ok(())
    }

    fn is_worth_saving(&self) -> bool {
        let unsaved = self.unsaved.load(Ordering::Relaxed);
        unsaved >= SAVE_CHANGES_MIN.max(self.index.len() / SAVE_PART)
    }

    /// Writes the index as far as it is; `history` names the store.
    fn save(&self, path: &Path, mut history: History, language: Language) -> Result<()> {
        // Nothing is taken in while the files are copied.
        let _turn = lock(&self.turn);
        self.index.compact()?;
        history.sequence = self.reached();
        // Whether or not it can be written: not again before as much has changed once more.
        self.unsaved.store(0, Ordering::Relaxed);
        let damaged = self.damaged.load(Ordering::Relaxed);
        let files = self.index.files()?;
        file::write(path, history, (language.name, damaged), &files).map(drop)
    }
}

/// What the index needs of a page, and how many of its chunks are damaged.
fn page(changes: Changes<StoredChunk>) -> (Page, usize) {
    let (mut page, mut damaged) = (Page::default(), 0);
    for change in changes.items {
        match change.added {
            None => page.deleted.push(change.id),
            Some(Ok(chunk)) => {
                // The title and the headings are words of a chunk as well.
                let input = EmbedInput::of(chunk.title.as_deref(), &chunk.headings, &chunk.text);
                page.added.push((change.id, input.into_text()));
            }
            Some(Err(error)) => {
                warn!(chunk = change.id, %error, "a chunk is left out of the keyword index");
                damaged += 1;
            }
        }
    }
    (page, damaged)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
