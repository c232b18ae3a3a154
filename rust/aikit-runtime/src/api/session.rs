//! A session: the services, tools and objects that the rows of the API table work on.

use std::{
    any::Any,
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aikit_components::registry::Components;
use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    broadcast::{Delivery, Feed},
    hook::HookRegistry,
    logger::{self, Level, Logger},
    script::ObjectId,
    tool::ToolContext,
    value::Map,
};
use futures::{Stream, StreamExt as _, stream::BoxStream};

use super::{ApiClass, Created, Resource, Return, StreamId, args::ObjectRef};

/// Origin of the hooks that are functions of the session's script.
pub(super) const HOOK_ORIGIN: &str = "lua";

/// Objects and streams one session may hold at once.
const RESOURCES_MAX: usize = 100_000;
/// Bytes that the objects of a session may take which say how many they take.
pub(super) const OBJECT_BYTES_MAX: usize = 1 << 28;

type Items = BoxStream<'static, Result<Value>>;

/// One session. A cheap handle: all clones are the same session.
#[derive(Clone, Debug)]
pub struct Session(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    components: Components,
    next: AtomicU64,
    resources: Mutex<Resources>,
    /// What a script's records go through; a script changes its own, never the process's.
    logger: Mutex<Logger>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A function of the script keeps the Context of its cell, which keeps the hooks.
        self.components.context.hooks().remove_origin(HOOK_ORIGIN);
    }
}

#[derive(Default)]
struct Resources {
    objects: HashMap<ObjectId, Object>,
    /// What they take in all.
    bytes: usize,
    streams: HashMap<StreamId, Arc<Source>>,
}

/// Where the items of a stream come from.
enum Source {
    // An async mutex: it is held while the next item is awaited.
    Items(tokio::sync::Mutex<Items>),
    /// Each wait is its own: one that is given up takes nothing from others of the subscription.
    Feed(Feed, Option<Duration>),
}

impl Source {
    async fn next(&self, cx: &Context) -> Option<Result<Delivery>> {
        match self {
            Self::Items(items) => {
                let item = items.lock().await.next().await?;
                Some(item.map(Delivery::from))
            }
            Self::Feed(feed, limit) => feed.deliver(&**cx.clock(), *limit).await.transpose(),
        }
    }
}

impl std::fmt::Debug for Resources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resources")
            .field("objects", &self.objects.len())
            .field("bytes", &self.bytes)
            .field("streams", &self.streams.len())
            .finish()
    }
}

struct Object {
    class: &'static ApiClass,
    value: Arc<dyn Any + Send + Sync>,
    /// What it takes, about; 0 where that does not matter.
    bytes: usize,
}

/// Why a session does not take what it was given.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The script holds too much, see [`Return::NoRoom`].
    NoRoom(Error),
    /// Anything else.
    Other(Error),
}

impl Refusal {
    /// What a function answers that was refused.
    pub(super) fn answer(self) -> Result<Return> {
        match self {
            Self::NoRoom(error) => Ok(Return::NoRoom(error)),
            Self::Other(error) => Err(error),
        }
    }
}

/// What a function answers whose every `limit_exceeded` says that the script holds too much.
pub(super) fn or_no_room(answer: Result<Return>) -> Result<Return> {
    answer.or_else(|error| match error.kind() {
        ErrorKind::LimitExceeded => Ok(Return::NoRoom(error)),
        _ => Err(error),
    })
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<Refusal> for Error {
    fn from((Refusal::NoRoom(error) | Refusal::Other(error)): Refusal) -> Self {
        error
    }
}

impl Session {
    /// A session without objects.
    pub fn new(components: Components) -> Self {
        Self(Arc::new(Inner {
            components,
            next: AtomicU64::new(1),
            resources: Mutex::default(),
            logger: Mutex::new(Self::first_logger()),
        }))
    }

    /// The logger that a script begins with: its level lets everything through that the host wants.
    pub(super) fn first_logger() -> Logger {
        logger::create(Level::Trace).for_component("script")
    }

    /// The logger of the script.
    pub(super) fn logger(&self) -> Logger {
        self.0
            .logger
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts another logger in place of the script's.
    ///
    /// # Errors
    ///
    /// That of `change`; then the logger stays.
    pub(super) fn change_logger(
        &self,
        change: impl FnOnce(&Logger) -> Result<Logger>,
    ) -> Result<()> {
        let mut logger = self.0.logger.lock().unwrap_or_else(PoisonError::into_inner);
        *logger = change(&logger)?;
        Ok(())
    }

    /// What the session works with.
    pub fn components(&self) -> &Components {
        &self.0.components
    }

    /// The hooks of the session.
    pub fn hooks(&self) -> &HookRegistry {
        self.0.components.context.hooks()
    }

    /// What tools and components are given when called below `cx`.
    pub fn tool_context(&self, cx: &Context) -> ToolContext {
        ToolContext {
            context: cx.clone(),
            services: Arc::clone(&self.0.components.services),
        }
    }

    /// Keeps an object until the script drops its handle.
    ///
    /// # Errors
    ///
    /// `limit_exceeded` when the session holds too many, `internal` for an unknown class.
    pub fn insert<T: Any + Send + Sync>(
        &self,
        class: &str,
        fields: Map,
        value: Arc<T>,
    ) -> Result<Return> {
        let created = self.insert_sized(class, fields, value, 0)?;
        Ok(Return::Object(created))
    }

    /// Keeps an object that takes so many bytes, about, until the script drops its handle.
    ///
    /// # Errors
    ///
    /// As of [`Session::insert`], and `limit_exceeded` as of [`Session::check_bytes`].
    pub(super) fn insert_sized<T: Any + Send + Sync>(
        &self,
        class: &str,
        fields: Map,
        value: Arc<T>,
        bytes: usize,
    ) -> Result<Created, Refusal> {
        let class = super::class(class)
            .ok_or_else(|| Error::internal(format!("there is no class `{class}`")))?;
        let id = ObjectId(self.next_id());
        let mut resources = self.resources();
        resources.check_room()?;
        resources.check_bytes(bytes)?;
        resources.bytes += bytes;
        let object = Object {
            class,
            value,
            bytes,
        };
        resources.objects.insert(id, object);
        Ok(Created {
            class,
            id,
            fields,
            bytes,
            appearance: None,
        })
    }

    /// Says that an object takes so many bytes from now on.
    ///
    /// # Errors
    ///
    /// `limit_exceeded` as of [`Session::check_bytes`], `not_found` when it was released.
    pub(super) fn resize(&self, id: Option<ObjectId>, bytes: usize) -> Result<(), Refusal> {
        let mut resources = self.resources();
        let object = id.and_then(|id| resources.objects.get(&id));
        let before = object.ok_or_else(released)?.bytes;
        resources.check_bytes(bytes.saturating_sub(before))?;
        resources.bytes = resources.bytes + bytes - before;
        if let Some(object) = id.and_then(|id| resources.objects.get_mut(&id)) {
            object.bytes = bytes;
        }
        Ok(())
    }

    /// How many bytes an object takes; none when it was released.
    pub(super) fn bytes_of(&self, id: Option<ObjectId>) -> usize {
        let resources = self.resources();
        let object = id.and_then(|id| resources.objects.get(&id));
        object.map_or(0, |object| object.bytes)
    }

    /// Whether the objects may take so many bytes more.
    ///
    /// # Errors
    ///
    /// `limit_exceeded` when they would take more than 256 MiB.
    pub(super) fn check_bytes(&self, more: usize) -> Result<(), Refusal> {
        self.resources().check_bytes(more)
    }

    /// Keeps a stream until it ends or the script drops it.
    ///
    /// # Errors
    ///
    /// `limit_exceeded` when the session holds too many.
    pub fn insert_stream(
        &self,
        items: impl Stream<Item = Result<Value>> + Send + 'static,
    ) -> Result<Return> {
        let items = tokio::sync::Mutex::new(items.boxed());
        self.insert_source(Source::Items(items))
    }

    /// Keeps the items of a subscription as a stream, which ends when none comes within `limit`.
    ///
    /// # Errors
    ///
    /// As of [`Session::insert_stream`].
    pub(super) fn insert_feed(&self, feed: Feed, limit: Option<Duration>) -> Result<Return> {
        self.insert_source(Source::Feed(feed, limit))
    }

    fn insert_source(&self, source: Source) -> Result<Return> {
        let id = StreamId(self.next_id());
        let mut resources = self.resources();
        resources.check_room()?;
        resources.streams.insert(id, Arc::new(source));
        Ok(Return::Stream(id))
    }

    /// The object a method is called on, or an argument, as what it is.
    ///
    /// # Errors
    ///
    /// `not_found` when it was released, `internal` when it is something else.
    pub fn object<T: Any + Send + Sync>(&self, id: Option<ObjectId>) -> Result<Arc<T>> {
        let id = id.ok_or_else(|| Error::internal("a method was called without an object"))?;
        let value = {
            let resources = self.resources();
            let object = resources.objects.get(&id).ok_or_else(released)?;
            Arc::clone(&object.value)
        };
        value
            .downcast()
            .map_err(|_| Error::internal("an object of the session has an unexpected type"))
    }

    /// The object behind an argument whose class the check has seen.
    ///
    /// # Errors
    ///
    /// As for [`Session::object`].
    pub fn argument<T: Any + Send + Sync>(&self, object: &ObjectRef) -> Result<Arc<T>> {
        self.object(Some(object.id))
    }

    /// The class of an object.
    ///
    /// # Errors
    ///
    /// `not_found` when it was released.
    pub(super) fn class_of(&self, id: ObjectId) -> Result<&'static ApiClass> {
        let resources = self.resources();
        let object = resources.objects.get(&id).ok_or_else(released)?;
        Ok(object.class)
    }

    /// The next item of a stream; `None` at its end, after which the stream is gone.
    ///
    /// # Errors
    ///
    /// The stream's own, after which it is gone too; `not_found` when it was released.
    pub(super) async fn next(&self, cx: &Context, id: StreamId) -> Result<Option<Delivery>> {
        let source = self.resources().streams.get(&id).map(Arc::clone);
        // A stream that ended stays at its end.
        let Some(source) = source else {
            return Ok(None);
        };
        let item = cx.within(source.next(cx)).await;
        match item {
            Ok(Some(Ok(item))) => Ok(Some(item)),
            ended => {
                self.release(Resource::Stream(id));
                ended?.transpose()
            }
        }
    }

    /// Forgets an object or a stream; nothing happens when it is unknown.
    pub(super) fn release(&self, resource: Resource) {
        let mut resources = self.resources();
        match resource {
            Resource::Object(id) => {
                let object = resources.objects.remove(&ObjectId(id));
                resources.bytes -= object.as_ref().map_or(0, |it| it.bytes);
                drop(resources);
                // Dropped outside the lock: it may release others.
                drop(object);
            }
            Resource::Stream(id) => {
                let stream = resources.streams.remove(&id);
                drop(resources);
                drop(stream);
            }
        }
    }

    /// How many objects and streams the session holds.
    pub fn resource_count(&self) -> usize {
        let resources = self.resources();
        resources.objects.len() + resources.streams.len()
    }

    /// Bytes that its objects take which say how many they take.
    pub fn object_bytes(&self) -> usize {
        self.resources().bytes
    }

    fn next_id(&self) -> u64 {
        self.0.next.fetch_add(1, Ordering::Relaxed)
    }

    fn resources(&self) -> std::sync::MutexGuard<'_, Resources> {
        self.0
            .resources
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resources {
    fn check_room(&self) -> Result<(), Refusal> {
        if self.objects.len() + self.streams.len() < RESOURCES_MAX {
            return Ok(());
        }
        let message = format!("the session holds {RESOURCES_MAX} objects and streams");
        Err(no_room(&message))
    }

    fn check_bytes(&self, more: usize) -> Result<(), Refusal> {
        let bytes = self.bytes.saturating_add(more);
        if bytes <= OBJECT_BYTES_MAX {
            return Ok(());
        }
        let message = format!(
            "the charts of the session would take {} MiB, and {} are allowed",
            bytes.div_ceil(1 << 20),
            OBJECT_BYTES_MAX >> 20
        );
        Err(no_room(&message))
    }
}

fn no_room(message: &str) -> Refusal {
    let hint = "drop what is no longer used, for example by setting its variable to `nil`";
    Refusal::NoRoom(Error::new(ErrorKind::LimitExceeded, message).with_hint(hint))
}

fn released() -> Error {
    Error::not_found("the object was released")
        .with_hint("keep its handle in a variable as long as it is used")
}
