//! Sessions: one user's span of work, with its conversation, its state and its checkpoints, which
//! any face can take up again.

mod checkpoint;
mod hooked;
mod session;

use std::sync::{Arc, Mutex, PoisonError};

use aikit_core::{
    Context, Error, ErrorKind, Result,
    hook::{SESSION_START, around},
    storage::{Batch, Entry, KeyValueStore},
    tracker::{Operation, track},
    value::Map,
};
use serde::{Deserialize, Serialize};

pub use self::{checkpoint::Checkpoint, session::Session};
use crate::{
    nearest,
    project::{self, Project, escape},
};

/// Longest name of a session in bytes.
const NAME_BYTES_MAX: usize = 200;

/// Most tags of a session, or of an artifact.
pub(crate) const TAGS_MAX: usize = 100;

/// Largest description of a session in bytes: name, tags and metadata together.
const INFO_BYTES_MAX: usize = 1 << 20;

/// Largest message in bytes.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Most messages of a session.
const MESSAGES_MAX: usize = 100_000;

/// Most sessions that are listed.
const SESSIONS_MAX: usize = 100_000;

/// Microseconds of a second.
const MICROS: f64 = 1e6;

/// Whether a session goes on.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It does.
    #[default]
    Active,
    /// It is done; resuming makes it active again.
    Completed,
}

impl Status {
    /// Reads the word for it.
    ///
    /// # Errors
    ///
    /// `invalid_args` for another word.
    pub fn parse(word: &str) -> Result<Self> {
        match word {
            "active" => Ok(Self::Active),
            "completed" => Ok(Self::Completed),
            _ => Err(Error::invalid_args(format!("`{word}` is no status"))
                .with_hint("use `active` or `completed`")),
        }
    }
}

/// What is known about a session.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct SessionInfo {
    /// Identity.
    pub id: String,
    /// Name, where it was given one; no two sessions have the same.
    pub name: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// What the caller knows about it.
    pub metadata: Map,
    /// Whether it goes on.
    pub status: Status,
    /// Number of messages of its conversation.
    pub messages: u64,
    /// Number of its checkpoints.
    pub checkpoints: u64,
    /// When it was made, in seconds since 1970 UTC.
    pub created_s: f64,
    /// When it was last written, in seconds since 1970 UTC.
    pub updated_s: f64,
}

/// What a session begins with.
#[derive(Clone, Debug, Default)]
pub struct SessionOptions {
    /// Name by which it can be resumed.
    pub name: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// What the caller knows about it.
    pub metadata: Map,
}

/// Which sessions are listed; all when nothing is set.
#[derive(Clone, Debug, Default)]
pub struct SessionFilter {
    /// Those that have this tag.
    pub tag: Option<String>,
    /// Those that go on, or those that do not.
    pub status: Option<Status>,
}

/// The sessions of a project. A cheap handle.
#[derive(Clone, Debug)]
pub struct Sessions {
    project: Project,
    current: Arc<Mutex<Option<Session>>>,
}

impl Sessions {
    /// The sessions that `project` keeps.
    pub fn new(project: Project) -> Self {
        let current = Arc::default();
        Self { project, current }
    }

    /// Begins a session; when this returns, it is kept whatever happens.
    ///
    /// # Errors
    ///
    /// `conflict` when the name is taken, `invalid_args` for what is no name, those of the store.
    pub async fn create(&self, cx: &Context, options: SessionOptions) -> Result<Session> {
        if let Some(name) = &options.name {
            project::check_name("the name of the session", name, NAME_BYTES_MAX)?;
        }
        check_tags(&options.tags)?;
        track(cx, Operation::new("session create"), |cx| async move {
            let mut call = hooked::Create {
                sessions: self,
                cx: &cx,
            };
            around(&cx, &SESSION_START, &mut call, options).await
        })
        .await
    }

    async fn begin(&self, cx: &Context, options: SessionOptions) -> Result<Session> {
        let place = self.place(cx).await?;
        let (id, now) = (cx.clock().uuid().simple().to_string(), now(cx));
        let info = SessionInfo {
            id: id.clone(),
            name: options.name.clone(),
            tags: options.tags,
            metadata: options.metadata,
            created_s: now,
            updated_s: now,
            ..SessionInfo::default()
        };
        let mut batch = Batch {
            expect: vec![(place.info(&id), None)],
            puts: vec![(place.info(&id), encode(&info)?)],
            ..Batch::default()
        };
        if let Some(name) = &options.name {
            batch.expect.push((place.name(name), None));
            let written = project::encode("the name", &id, NAME_BYTES_MAX)?;
            batch.puts.push((place.name(name), written));
        }
        let written = place.store.apply(batch).await;
        written.map_err(|error| match (error.kind(), &options.name) {
            (ErrorKind::Conflict, Some(name)) => taken(name),
            _ => error,
        })?;
        Session::open(cx, &self.project, place, id).await
    }

    /// Takes up the session of a name, or begins it when there is none.
    ///
    /// # Errors
    ///
    /// As for [`Sessions::create`].
    pub async fn open(&self, cx: &Context, options: SessionOptions) -> Result<Session> {
        let Some(name) = options.name.clone() else {
            return self.create(cx, options).await;
        };
        project::check_name("the name of the session", &name, NAME_BYTES_MAX)?;
        match self.resume(cx, &name).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            resumed => return resumed,
        }
        match self.create(cx, options).await {
            // Somebody began it meanwhile.
            Err(error) if error.kind() == ErrorKind::Conflict => self.resume(cx, &name).await,
            created => created,
        }
    }

    /// Takes up a session by its identity or its name; a completed one is active again.
    ///
    /// # Errors
    ///
    /// `not_found` with the nearest name, those of the store.
    pub async fn resume(&self, cx: &Context, id_or_name: &str) -> Result<Session> {
        track(cx, Operation::new("session resume"), |cx| async move {
            let mut call = hooked::Resume {
                sessions: self,
                cx: &cx,
                id_or_name,
            };
            around(&cx, &SESSION_START, &mut call, ()).await
        })
        .await
    }

    async fn take_up(&self, cx: &Context, id_or_name: &str) -> Result<Session> {
        let session = self.find(cx, id_or_name).await?;
        let status = session.info(cx).await?.status;
        if status == Status::Completed {
            session.set_status(cx, Status::Active).await?;
        }
        Ok(session)
    }

    /// Finds a session by its identity or its name and leaves it as it is.
    ///
    /// # Errors
    ///
    /// As for [`Sessions::resume`].
    pub async fn find(&self, cx: &Context, id_or_name: &str) -> Result<Session> {
        track(cx, Operation::new("session find"), |cx| async move {
            let place = self.place(&cx).await?;
            let id = place.id_of(&cx, id_or_name).await?;
            Session::open(&cx, &self.project, place, id).await
        })
        .await
    }

    /// The sessions, those written last first.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn list(&self, cx: &Context, filter: SessionFilter) -> Result<Vec<SessionInfo>> {
        track(cx, Operation::new("session list"), |cx| async move {
            let mut found = self.place(&cx).await?.infos().await?;
            found.retain(|info| {
                let has_tag = filter
                    .tag
                    .as_ref()
                    .is_none_or(|tag| info.tags.contains(tag));
                has_tag && filter.status.is_none_or(|status| status == info.status)
            });
            found.sort_by(|a, b| b.updated_s.total_cmp(&a.updated_s));
            Ok(found)
        })
        .await
    }

    /// Deletes a session with its conversation, its state, its checkpoints and its artifacts.
    ///
    /// # Errors
    ///
    /// As for [`Sessions::resume`].
    pub async fn delete(&self, cx: &Context, id_or_name: &str) -> Result<()> {
        let session = self.find(cx, id_or_name).await?;
        session
            .artifacts(cx, &self.project)
            .await?
            .clear(cx)
            .await?;
        track(cx, Operation::new("session delete"), |_| async {
            session.delete().await
        })
        .await?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|it| it.id() == session.id()) {
            *current = None;
        }
        Ok(())
    }

    /// The session that was begun or taken up last, unless it was completed.
    pub fn current(&self) -> Option<Session> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    /// Makes `session` the current one.
    pub fn set_current(&self, session: Option<Session>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = session;
    }

    async fn place(&self, cx: &Context) -> Result<Place> {
        let prefix = self.project.space(cx)?.prefix("session");
        let store = cx.within(self.project.keys()).await??;
        Ok(Place { store, prefix })
    }
}

fn taken(name: &str) -> Error {
    let message = format!("there is a session named `{name}` already");
    Error::new(ErrorKind::Conflict, message).with_hint(format!(
        "take it up with `resume(\"{name}\")`, or choose another name"
    ))
}

/// Refuses too many tags, and what is no tag.
pub(crate) fn check_tags(tags: &[String]) -> Result<()> {
    if tags.len() > TAGS_MAX {
        let message = format!("{} tags are more than {TAGS_MAX}", tags.len());
        return Err(Error::new(ErrorKind::LimitExceeded, message).with_hint("give fewer tags"));
    }
    tags.iter()
        .try_for_each(|tag| project::check_name("the tag", tag, NAME_BYTES_MAX))
}

/// Now, in seconds since 1970 UTC.
pub(crate) fn now(cx: &Context) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds fit until the year 2255"
    )]
    let micros = cx.clock().now() as f64;
    micros / MICROS
}

fn encode(info: &SessionInfo) -> Result<bytes::Bytes> {
    project::encode("the description of the session", info, INFO_BYTES_MAX)
}

/// The keys of a tenant's sessions in a store.
#[derive(Clone, Debug)]
struct Place {
    store: Arc<dyn KeyValueStore>,
    prefix: String,
}

impl Place {
    fn info(&self, id: &str) -> String {
        format!("{}info/{}", self.prefix, escape(id))
    }

    fn name(&self, name: &str) -> String {
        format!("{}name/{}", self.prefix, escape(name))
    }

    fn messages(&self, id: &str) -> String {
        format!("{}message/{id}/", self.prefix)
    }

    /// With leading zeros, so that the order of the keys is the order of the messages.
    fn message(&self, id: &str, position: u64) -> String {
        format!("{}{position:012}", self.messages(id))
    }

    fn checkpoints(&self, id: &str) -> String {
        format!("{}checkpoint/{id}/", self.prefix)
    }

    /// What the checkpoints hold, beside what is known about them.
    fn contents(&self, id: &str) -> String {
        format!("{}content/{id}/", self.prefix)
    }

    async fn infos(&self) -> Result<Vec<SessionInfo>> {
        let prefix = format!("{}info/", self.prefix);
        // One that is damaged does not hide the others.
        let read = |entry: Entry| project::decode("a session", &entry.record.ok()?.value).ok();
        let infos = project::collect(&*self.store, &prefix, SESSIONS_MAX, read).await?;
        Ok(infos.into_iter().flatten().collect())
    }

    async fn id_of(&self, cx: &Context, id_or_name: &str) -> Result<String> {
        if self.store.get(&self.info(id_or_name)).await?.is_some() {
            return Ok(id_or_name.to_owned());
        }
        if let Some(record) = self.store.get(&self.name(id_or_name)).await? {
            return project::decode("the name of the session", &record.value);
        }
        cx.check()?;
        let infos = self.infos().await?;
        let names = infos.iter().filter_map(|it| it.name.as_deref());
        let otherwise = "list the sessions to see their names and identities".to_owned();
        Err(Error::not_found(format!("no session `{id_or_name}`"))
            .with_hint(nearest::hint(id_or_name, names, otherwise)))
    }
}
