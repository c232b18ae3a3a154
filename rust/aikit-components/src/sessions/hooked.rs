//! The start, the end and the checkpoints of sessions as hooks see them.

use aikit_core::{Context, Error, Result, Value, hook::Hooked, value::Map};

use super::{Checkpoint, Session, SessionOptions, Sessions, Status, check_tags, checkpoint};

/// The start of a new session with hooks around it.
pub(super) struct Create<'a> {
    pub(super) sessions: &'a Sessions,
    pub(super) cx: &'a Context,
}

impl Hooked for Create<'_> {
    type Input = SessionOptions;
    type Output = Session;

    fn show(&self, options: &SessionOptions) -> Result<Map> {
        let tags = options.tags.iter().map(|tag| Value::from(tag.as_str()));
        Ok(Map::from_iter([
            ("operation".to_owned(), Value::from("create")),
            ("name".to_owned(), Value::from(options.name.as_deref())),
            ("tags".to_owned(), tags.collect()),
            ("metadata".to_owned(), Value::Map(options.metadata.clone())),
        ]))
    }

    fn change(&self, options: &mut SessionOptions, mut changes: Map) -> Result<()> {
        if let Some(tags) = changes.shift_remove("tags") {
            options.tags = match tags {
                Value::Map(map) if map.is_empty() => Vec::new(),
                tags => tags.deserialize()?,
            };
            check_tags(&options.tags)?;
        }
        if let Some(metadata) = changes.shift_remove("metadata") {
            options.metadata = metadata.deserialize()?;
        }
        Ok(())
    }

    async fn call(&mut self, options: SessionOptions) -> Result<Session> {
        self.sessions.begin(self.cx, options).await
    }

    fn result(&self, session: &Session) -> Result<Value> {
        Ok(Value::map([("id", Value::from(session.id()))]))
    }

    fn replace(&self, _: &SessionOptions, _: Value, _: Option<&Session>) -> Result<Session> {
        Err(irreplaceable())
    }
}

/// A session that is taken up again, with hooks around it.
pub(super) struct Resume<'a> {
    pub(super) sessions: &'a Sessions,
    pub(super) cx: &'a Context,
    pub(super) id_or_name: &'a str,
}

impl Hooked for Resume<'_> {
    type Input = ();
    type Output = Session;

    fn show(&self, (): &()) -> Result<Map> {
        Ok(Map::from_iter([
            ("operation".to_owned(), Value::from("resume")),
            ("session".to_owned(), Value::from(self.id_or_name)),
        ]))
    }

    fn change(&self, (): &mut (), _: Map) -> Result<()> {
        Err(Error::invalid_args("a session that exists is not changed")
            .with_hint("look at `operation`: only `create` has tags and metadata to change"))
    }

    async fn call(&mut self, (): ()) -> Result<Session> {
        // Boxed: it makes several calls of the store.
        Box::pin(self.sessions.take_up(self.cx, self.id_or_name)).await
    }

    fn result(&self, session: &Session) -> Result<Value> {
        Ok(Value::map([("id", Value::from(session.id()))]))
    }

    fn replace(&self, (): &(), _: Value, _: Option<&Session>) -> Result<Session> {
        Err(irreplaceable())
    }
}

/// The end of a session with hooks around it.
pub(super) struct Complete<'a> {
    pub(super) session: &'a Session,
    pub(super) cx: &'a Context,
}

impl Hooked for Complete<'_> {
    type Input = ();
    type Output = ();

    fn show(&self, (): &()) -> Result<Map> {
        let session = Value::from(self.session.id());
        Ok(Map::from_iter([("session".to_owned(), session)]))
    }

    async fn call(&mut self, (): ()) -> Result<()> {
        self.session.set_status(self.cx, Status::Completed).await
    }

    fn result(&self, (): &()) -> Result<Value> {
        Ok(Value::Null)
    }

    fn replace(&self, (): &(), _: Value, _: Option<&()>) -> Result<()> {
        Err(irreplaceable())
    }
}

/// A checkpoint with hooks around it; its name is what can be changed.
pub(super) struct Keep<'a> {
    pub(super) session: &'a Session,
    pub(super) cx: &'a Context,
}

impl Hooked for Keep<'_> {
    type Input = Option<String>;
    type Output = Checkpoint;

    fn show(&self, name: &Option<String>) -> Result<Map> {
        Ok(Map::from_iter([
            ("session".to_owned(), Value::from(self.session.id())),
            ("name".to_owned(), Value::from(name.as_deref())),
        ]))
    }

    fn change(&self, name: &mut Option<String>, mut changes: Map) -> Result<()> {
        if let Some(given) = changes.shift_remove("name") {
            let given: Option<String> = given.deserialize()?;
            checkpoint::check_name(given.as_deref())?;
            *name = given;
        }
        Ok(())
    }

    async fn call(&mut self, name: Option<String>) -> Result<Checkpoint> {
        self.session.keep_now(self.cx, name.as_deref()).await
    }

    fn result(&self, checkpoint: &Checkpoint) -> Result<Value> {
        Value::from_serialize(checkpoint)
    }

    fn replace(&self, _: &Option<String>, _: Value, _: Option<&Checkpoint>) -> Result<Checkpoint> {
        Err(irreplaceable())
    }
}

/// What is written is what there is.
fn irreplaceable() -> Error {
    Error::invalid_args("what became of a session cannot be replaced")
        .with_hint("stop it, or let it go on")
}
