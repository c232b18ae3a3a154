//! Checkpoints: the conversation and the state of a session as they were, and the way back.

use aikit_core::{
    Context, Error, ErrorKind, Result,
    hook::{SESSION_CHECKPOINT, around},
    storage::{Batch, Entry},
    tracker::{Operation, track},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{MESSAGES_MAX, NAME_BYTES_MAX, Session, SessionInfo, hooked, now, session::Change};
use crate::{
    nearest,
    project::{self, Attempts},
    state::KEYS_MAX,
};

/// Largest checkpoint in bytes.
const CHECKPOINT_BYTES_MAX: usize = 64 << 20;

/// Most checkpoints of a session.
const CHECKPOINTS_MAX: u64 = 1_000;

/// What is known about a checkpoint.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Checkpoint {
    /// Its name; its number where it was given none.
    pub name: String,
    /// Number among the checkpoints of the session, from 1.
    pub number: u64,
    /// How many messages the conversation had.
    pub messages: u64,
    /// How many values the state had.
    pub values: u64,
    /// When it was made, in seconds since 1970 UTC.
    pub created_s: f64,
}

/// What a checkpoint holds.
#[derive(Deserialize, Serialize)]
struct Content {
    /// The messages as they were stored.
    messages: Vec<Bytes>,
    /// The keys of the state without their prefix, and the values as they were stored.
    state: Vec<(String, Bytes)>,
}

impl Session {
    /// Keeps the conversation and the state as they are now, under `name` or a number.
    ///
    /// # Errors
    ///
    /// `conflict` when the name is taken or the session is completed, `limit_exceeded` when there is
    /// too much to keep, `corrupt_record` when something is damaged, those of the store.
    pub async fn checkpoint(&self, cx: &Context, name: Option<&str>) -> Result<Checkpoint> {
        check_name(name)?;
        track(cx, Operation::new("session checkpoint"), |cx| async move {
            let mut call = hooked::Keep {
                session: self,
                cx: &cx,
            };
            let name = name.map(str::to_owned);
            around(&cx, &SESSION_CHECKPOINT, &mut call, name).await
        })
        .await
    }

    pub(super) async fn keep_now(&self, cx: &Context, name: Option<&str>) -> Result<Checkpoint> {
        let mut attempts = Attempts::new(cx);
        loop {
            match self.keep(cx, name).await {
                Ok(kept) => return Ok(kept),
                Err(Failed::Final(error)) => return Err(error),
                Err(Failed::Write(error)) => attempts.again(error).await?,
            }
        }
    }

    /// The checkpoints, oldest first.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn checkpoints(&self, cx: &Context) -> Result<Vec<Checkpoint>> {
        track(cx, Operation::new("session checkpoints"), |_| async {
            self.known_checkpoints().await
        })
        .await
    }

    /// Makes the conversation and the state what they were at a checkpoint; the newest when `name`
    /// is `None`. What was written since is gone, the checkpoints stay.
    ///
    /// # Errors
    ///
    /// `not_found` for an unknown checkpoint, `conflict` when the session is completed, those of the
    /// store.
    pub async fn restore(&self, cx: &Context, name: Option<&str>) -> Result<Checkpoint> {
        track(cx, Operation::new("session restore"), |cx| async move {
            let found = self.find_checkpoint(name).await?;
            let content = self.content(&found).await?;
            let mut attempts = Attempts::new(&cx);
            loop {
                let (info, revision) = self.read().await?;
                self.check_active(&info)?;
                let change = self.going_back(info, &content).await?;
                match self.write(&cx, change, revision).await {
                    Ok(()) => return Ok(found),
                    Err(error) => attempts.again(error).await?,
                }
            }
        })
        .await
    }

    async fn keep(&self, cx: &Context, name: Option<&str>) -> Result<Checkpoint, Failed> {
        let (info, revision) = self.read().await?;
        self.check_active(&info)?;
        let number = info.checkpoints + 1;
        let name = name.map_or_else(|| number.to_string(), str::to_owned);
        self.check_free(&name, number).await?;
        let messages = self.message_entries().await?;
        let state = self.state_entries(KEYS_MAX + 1).await?;
        let unchanged = self.unchanged(&state);
        let state = contents(state, self.0.state.prefix())?;
        if state.len() > KEYS_MAX {
            let message = format!("the session has more than {KEYS_MAX} values");
            return Err(Error::new(ErrorKind::LimitExceeded, message)
                .with_hint("keep them in another scope, or fewer of them")
                .into());
        }
        let messages = contents(messages, "")?;
        let about = Checkpoint {
            name,
            number,
            messages: messages.len() as u64,
            values: state.len() as u64,
            created_s: now(cx),
        };
        let content = Content {
            messages: messages.into_iter().map(|(_, value)| value).collect(),
            state,
        };
        let content = project::encode("the checkpoint", &content, CHECKPOINT_BYTES_MAX)?;
        let known = project::encode("the checkpoint", &about, CHECKPOINT_BYTES_MAX)?;
        let place = &self.0.place;
        let puts = vec![
            (numbered(&place.checkpoints(&self.0.id), number), known),
            (numbered(&place.contents(&self.0.id), number), content),
        ];
        let change = Change {
            info: SessionInfo {
                checkpoints: number,
                ..info
            },
            batch: Batch {
                // What was read of the state belongs together only if none of it changed since.
                puts,
                ..unchanged
            },
        };
        let kept = self.write(cx, change, revision).await;
        kept.map(|()| about).map_err(Failed::Write)
    }

    async fn check_free(&self, name: &str, number: u64) -> Result<()> {
        if number > CHECKPOINTS_MAX {
            let message = format!("a session has at most {CHECKPOINTS_MAX} checkpoints");
            return Err(
                Error::new(ErrorKind::LimitExceeded, message).with_hint("go on in a new session")
            );
        }
        let is_taken = |it: &Checkpoint| it.name == name;
        if self.known_checkpoints().await?.iter().any(is_taken) {
            let message = format!("there is a checkpoint named `{name}` already");
            return Err(
                Error::new(ErrorKind::Conflict, message).with_hint("choose another name, or none")
            );
        }
        Ok(())
    }

    /// What has to be written so that everything is as it was.
    async fn going_back(&self, info: SessionInfo, content: &Content) -> Result<Change> {
        let (place, id) = (&self.0.place, &self.0.id);
        let prefix = self.0.state.prefix();
        let (messages, state) = (
            self.message_entries().await?,
            self.state_entries(usize::MAX).await?,
        );
        // Messages change together with the session, whose revision is looked at.
        let unchanged = self.unchanged(&state);
        let deletes = messages.into_iter().chain(state).map(|it| it.key).collect();
        let messages = (0..).zip(&content.messages);
        let messages = messages.map(|(position, it)| (place.message(id, position), it.clone()));
        let state = content.state.iter();
        let state = state.map(|(key, value)| (format!("{prefix}{key}"), value.clone()));
        Ok(Change {
            info: SessionInfo {
                messages: content.messages.len() as u64,
                ..info
            },
            batch: Batch {
                // Deletions come before writes.
                puts: messages.chain(state).collect(),
                deletes,
                ..unchanged
            },
        })
    }

    async fn find_checkpoint(&self, name: Option<&str>) -> Result<Checkpoint> {
        let mut known = self.known_checkpoints().await?;
        let Some(name) = name else {
            return known.pop().ok_or_else(|| {
                Error::not_found("the session has no checkpoint")
                    .with_hint("make one with `checkpoint`")
            });
        };
        if let Some(position) = known.iter().position(|it| it.name == name) {
            return Ok(known.swap_remove(position));
        }
        let names = known.iter().map(|it| it.name.as_str());
        let hint = nearest::hint(name, names, "list them with `checkpoints`".to_owned());
        Err(Error::not_found(format!("no checkpoint `{name}`")).with_hint(hint))
    }

    async fn known_checkpoints(&self) -> Result<Vec<Checkpoint>> {
        let prefix = self.0.place.checkpoints(&self.0.id);
        let read = |entry: Entry| project::decode("a checkpoint", &entry.record?.value);
        let known = project::collect(&*self.0.place.store, &prefix, usize::MAX, read).await?;
        known.into_iter().collect()
    }

    async fn content(&self, of: &Checkpoint) -> Result<Content> {
        let key = numbered(&self.0.place.contents(&self.0.id), of.number);
        let record = self.0.place.store.get(&key).await?.ok_or_else(|| {
            let message = format!("the content of the checkpoint `{}` is gone", of.name);
            Error::new(ErrorKind::CorruptRecord, message).with_hint("restore another one")
        })?;
        project::decode("a checkpoint", &record.value)
    }

    async fn message_entries(&self) -> Result<Vec<Entry>> {
        let prefix = self.0.place.messages(&self.0.id);
        project::collect(&*self.0.place.store, &prefix, MESSAGES_MAX, |it| it).await
    }

    async fn state_entries(&self, most: usize) -> Result<Vec<Entry>> {
        let (store, prefix) = (self.0.state.store(), self.0.state.prefix());
        project::collect(&**store, prefix, most, |it| it).await
    }

    /// A batch that is applied only if the state is still what was read; a damaged value may have
    /// changed.
    fn unchanged(&self, state: &[Entry]) -> Batch {
        let whole = state.iter().filter_map(|entry| {
            let record = entry.record.as_ref().ok()?;
            Some((entry.key.clone(), Some(record.revision)))
        });
        Batch {
            expect: whole.collect(),
            counts: vec![(self.0.state.prefix().to_owned(), state.len() as u64)],
            ..Batch::default()
        }
    }
}

/// Refuses what is no name of a checkpoint.
pub(super) fn check_name(name: Option<&str>) -> Result<()> {
    name.map_or(Ok(()), |name| {
        project::check_name("the name of the checkpoint", name, NAME_BYTES_MAX)
    })
}

/// The key of a checkpoint, with leading zeros, so that the order of the keys is theirs.
fn numbered(prefix: &str, number: u64) -> String {
    format!("{prefix}{number:06}")
}

/// Why a checkpoint was not kept.
enum Failed {
    /// Somebody wrote meanwhile: it may be tried again.
    Write(Error),
    /// It will not be better the next time.
    Final(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// Keys without `prefix` and what is stored.
fn contents(entries: Vec<Entry>, prefix: &str) -> Result<Vec<(String, Bytes)>> {
    let content = |entry: Entry| {
        let key = entry.key.strip_prefix(prefix).unwrap_or(&entry.key);
        Ok((key.to_owned(), entry.record?.value))
    };
    entries.into_iter().map(content).collect()
}
