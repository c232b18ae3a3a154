//! One session: what is known about it, its conversation, and how all of it is written.

use std::sync::Arc;

use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    hook::{SESSION_END, around},
    model::Message,
    storage::{Batch, Entry, Revision},
    tracker::{Operation, track},
};

use super::{MESSAGE_BYTES_MAX, MESSAGES_MAX, Place, SessionInfo, Status, encode, hooked, now};
use crate::{
    artifacts::Artifacts,
    project::{self, Attempts, Project},
    state::{Scope, State},
};

/// One session. A cheap handle.
#[derive(Clone, Debug)]
pub struct Session(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) place: Place,
    pub(super) id: String,
    pub(super) state: State,
}

/// A change of a session that is not written yet.
pub(super) struct Change {
    pub(super) info: SessionInfo,
    pub(super) batch: Batch,
}

impl Session {
    pub(super) async fn open(
        cx: &Context,
        project: &Project,
        place: Place,
        id: String,
    ) -> Result<Self> {
        let state = State::open(cx, project, Scope::Session(id.clone())).await?;
        Ok(Self(Arc::new(Inner { place, id, state })))
    }

    /// Identity.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// What is known about it now.
    ///
    /// # Errors
    ///
    /// `not_found` when it was deleted, those of the store.
    pub async fn info(&self, cx: &Context) -> Result<SessionInfo> {
        track(cx, Operation::new("session info"), |_| async {
            Ok(self.read().await?.0)
        })
        .await
    }

    /// Its state: the scope `session:ID`.
    pub fn state(&self) -> &State {
        &self.0.state
    }

    /// Its artifacts: those of the scope `session:ID`.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn artifacts(&self, cx: &Context, project: &Project) -> Result<Artifacts> {
        Artifacts::open(cx, project, Scope::Session(self.0.id.clone())).await
    }

    /// Its conversation, oldest message first.
    ///
    /// # Errors
    ///
    /// `corrupt_record` for a damaged message, those of the store.
    pub async fn messages(&self, cx: &Context) -> Result<Vec<Message>> {
        let values = track(cx, Operation::new("session messages"), |_| async {
            let prefix = self.0.place.messages(&self.0.id);
            let read = |entry: Entry| {
                project::decode::<Value>("a message of the session", &entry.record?.value)
            };
            let store = &*self.0.place.store;
            let values = project::collect(store, &prefix, MESSAGES_MAX, read).await?;
            values.into_iter().collect::<Result<Vec<Value>>>()
        })
        .await?;
        values.into_iter().map(Value::deserialize).collect()
    }

    /// Adds messages to its conversation, all together.
    ///
    /// # Errors
    ///
    /// `conflict` when it is completed, `limit_exceeded` for too many messages or one that is too
    /// large, `not_found` when it was deleted, those of the store.
    pub async fn append(&self, cx: &Context, messages: &[Message]) -> Result<()> {
        let written = messages.iter().map(|message| {
            let value = Value::from_serialize(message)?;
            project::encode("a message of the session", &value, MESSAGE_BYTES_MAX)
        });
        let written: Vec<bytes::Bytes> = written.collect::<Result<_>>()?;
        track(cx, Operation::new("session append"), |cx| async move {
            self.change(&cx, |mut change| {
                self.check_active(&change.info)?;
                let begin = change.info.messages;
                let end = begin + written.len() as u64;
                if end > MESSAGES_MAX as u64 {
                    let message = format!("a session has at most {MESSAGES_MAX} messages");
                    return Err(Error::new(ErrorKind::LimitExceeded, message)
                        .with_hint("go on in a new session"));
                }
                let places = (begin..end).map(|it| self.0.place.message(&self.0.id, it));
                change.batch.puts = places.zip(written.iter().cloned()).collect();
                change.info.messages = end;
                Ok(change)
            })
            .await
        })
        .await
    }

    /// Ends it: nothing is added until it is resumed.
    ///
    /// # Errors
    ///
    /// `not_found` when it was deleted, those of the store.
    pub async fn complete(&self, cx: &Context) -> Result<()> {
        track(cx, Operation::new("session complete"), |cx| async move {
            let mut call = hooked::Complete {
                session: self,
                cx: &cx,
            };
            around(&cx, &SESSION_END, &mut call, ()).await
        })
        .await
    }

    pub(super) async fn set_status(&self, cx: &Context, status: Status) -> Result<()> {
        track(cx, Operation::new("session status"), |cx| async move {
            self.change(&cx, |mut change| {
                change.info.status = status;
                Ok(change)
            })
            .await
        })
        .await
    }

    pub(super) fn check_active(&self, info: &SessionInfo) -> Result<()> {
        if info.status == Status::Active {
            return Ok(());
        }
        let message = format!("the session `{}` is completed", self.shown(info));
        Err(Error::new(ErrorKind::Conflict, message)
            .with_hint("take it up again with `resume`, or begin a new one"))
    }

    fn shown<'a>(&'a self, info: &'a SessionInfo) -> &'a str {
        info.name.as_deref().unwrap_or(&self.0.id)
    }

    pub(super) async fn read(&self) -> Result<(SessionInfo, Revision)> {
        let key = self.0.place.info(&self.0.id);
        let record = self.0.place.store.get(&key).await?.ok_or_else(|| {
            Error::not_found(format!("the session `{}` was deleted", self.0.id))
                .with_hint("begin a new one")
        })?;
        let info = project::decode("the description of the session", &record.value)?;
        Ok((info, record.revision))
    }

    /// Writes what `make` does to the description and beside it, again when others wrote meanwhile.
    async fn change(
        &self,
        cx: &Context,
        make: impl Fn(Change) -> Result<Change> + Send,
    ) -> Result<()> {
        let mut attempts = Attempts::new(cx);
        loop {
            let (info, revision) = self.read().await?;
            let batch = Batch::default();
            let change = make(Change { info, batch })?;
            match self.write(cx, change, revision).await {
                Ok(()) => return Ok(()),
                Err(error) => attempts.again(error).await?,
            }
        }
    }

    pub(super) async fn write(
        &self,
        cx: &Context,
        change: Change,
        revision: Revision,
    ) -> Result<()> {
        let Change {
            mut info,
            mut batch,
        } = change;
        info.updated_s = now(cx);
        let key = self.0.place.info(&self.0.id);
        batch.expect.push((key.clone(), Some(revision)));
        batch.puts.push((key, encode(&info)?));
        self.0.place.store.apply(batch).await.map(drop)
    }

    pub(super) async fn delete(&self) -> Result<()> {
        let place = &self.0.place;
        let (info, _) = self.read().await?;
        let mut deletes = vec![place.info(&self.0.id)];
        deletes.extend(info.name.map(|name| place.name(&name)));
        for prefix in [
            place.messages(&self.0.id),
            place.checkpoints(&self.0.id),
            place.contents(&self.0.id),
            self.0.state.prefix().to_owned(),
        ] {
            let key = |entry: Entry| entry.key;
            deletes.extend(project::collect(&*place.store, &prefix, usize::MAX, key).await?);
        }
        let batch = Batch {
            deletes,
            ..Batch::default()
        };
        place.store.apply(batch).await.map(drop)
    }
}
