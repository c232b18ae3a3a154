//! A procedure: a tracked, cancellable unit of work with middleware.

mod chunks;
mod double;
mod handle;
mod middleware;
mod pipeline;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use futures::{FutureExt as _, future::BoxFuture};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

pub use self::{
    chunks::{Chunks, ProcedureStream, emit as emit_chunk},
    double::{ProcedureDouble, exhausted},
    handle::{Handle, HandleFactory, HandleView, OwnEvents},
    middleware::{Envelope, Guard, Middleware, Next, SourceType, denied_by},
    pipeline::{Factory, Pipeline, pipe},
};
use crate::{
    Error, Result, Value,
    context::{Context, Overrides},
    schema::{self, Schema},
    tracker::{Boundary, Operation, track},
    value::Map,
};

/// What does the work of a procedure.
pub type Handler = dyn Fn(Call) -> BoxFuture<'static, Result<Value>> + Send + Sync;

/// One call, as the handler gets it.
#[derive(Debug)]
pub struct Call {
    /// The Context of this execution.
    pub cx: Context,
    /// The arguments, after middleware.
    pub args: Value,
    /// Takes what a generator hands out before its end.
    pub chunks: Chunks,
}

/// A named piece of work. Cheap to clone; every `with_` answers a new one and leaves this as it is.
#[derive(Clone)]
pub struct Procedure(Arc<Parts>);

#[derive(Clone)]
struct Parts {
    options: ProcedureOptions,
    handler: Arc<Handler>,
}

/// What a procedure is made with.
#[derive(Clone, Debug)]
pub struct ProcedureOptions {
    /// Name in the graph, in spans, in events and in messages.
    pub name: Arc<str>,
    /// What the arguments are held against before anything else sees them.
    pub schema: Option<Arc<Schema>>,
    /// Outermost first.
    pub middleware: Vec<Arc<dyn Middleware>>,
    /// Longest time of one call; zero and `None` mean no limit.
    pub timeout: Option<Duration>,
    /// Data that middleware sees.
    pub metadata: Arc<Map>,
    /// When a call begins a new execution.
    pub boundary: Boundary,
    /// What it is made of.
    pub source_type: SourceType,
    /// What the Context of each call has other than the caller's.
    pub context: Option<Arc<Overrides>>,
    /// Makes what handles stand on.
    pub handle_factory: Arc<dyn HandleFactory>,
}

impl ProcedureOptions {
    /// Options of a procedure of that name, without anything around it.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            schema: None,
            middleware: Vec::new(),
            timeout: None,
            metadata: Arc::default(),
            boundary: Boundary::Auto,
            source_type: SourceType::Procedure,
            context: None,
            handle_factory: Arc::new(OwnEvents),
        }
    }

    /// Holds arguments against the schema.
    ///
    /// # Errors
    ///
    /// `invalid_args` that names the procedure, the field and the rule.
    pub fn check(&self, args: &Value) -> Result<()> {
        let Some(schema) = &self.schema else {
            return Ok(());
        };
        schema.misfit(args)?.map_or(Ok(()), |misfit| {
            let message = format!("`{}`: {}", self.name, misfit.describe("field"));
            let hint = "pass what the schema of the procedure asks for";
            Err(Error::invalid_args(message).with_hint(hint))
        })
    }

    /// What [`track`] is told.
    pub fn operation(&self) -> Operation {
        Operation {
            name: Arc::clone(&self.name),
            timeout: self.timeout.filter(|it| !it.is_zero()),
            boundary: self.boundary,
            span: None,
        }
    }

    /// What middleware is told about the call that runs in `cx`.
    pub fn envelope(&self, cx: &Context) -> Envelope {
        Envelope {
            operation_name: Arc::clone(&self.name),
            source_type: self.source_type,
            pid: cx.node().map(|node| node.pid),
            metadata: Arc::clone(&self.metadata),
            handle: HandleView::of(cx),
            context: cx.clone(),
        }
    }
}

impl fmt::Debug for Procedure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Procedure")
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}

impl Procedure {
    /// Makes a procedure of an async function.
    pub fn new<F, Fut>(name: impl Into<Arc<str>>, handler: F) -> Self
    where
        F: Fn(Context, Value) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Value>> + Send + 'static,
    {
        let handler = move |call: Call| handler(call.cx, call.args).boxed();
        Self::create(ProcedureOptions::new(name), Arc::new(handler))
    }

    /// Makes a procedure of an async function that hands values out before it returns; see
    /// [`Procedure::stream`].
    pub fn generator<F, Fut>(name: impl Into<Arc<str>>, handler: F) -> Self
    where
        F: Fn(Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Value>> + Send + 'static,
    {
        let handler = move |call| handler(call).boxed();
        Self::create(ProcedureOptions::new(name), Arc::new(handler))
    }

    /// Makes a procedure of a function with types: its schema is that of `A`.
    ///
    /// # Errors
    ///
    /// `internal` when the schema of `A` is none.
    pub fn typed<A, R, F, Fut>(name: impl Into<Arc<str>>, handler: F) -> Result<Self>
    where
        A: DeserializeOwned + JsonSchema,
        R: Serialize,
        F: Fn(Context, A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R>> + Send + 'static,
    {
        let schema = Schema::new(schema::of::<A>())?;
        let handler = Arc::new(handler);
        let untyped = move |call: Call| {
            let handler = Arc::clone(&handler);
            async move {
                let args = call.args.deserialize::<A>();
                let args = args.map_err(|error| Error::invalid_args(error.message()))?;
                Value::from_serialize(&handler(call.cx, args).await?)
            }
            .boxed()
        };
        let mut options = ProcedureOptions::new(name);
        options.schema = Some(Arc::new(schema));
        Ok(Self::create(options, Arc::new(untyped)))
    }

    /// Makes a procedure.
    pub fn create(options: ProcedureOptions, handler: Arc<Handler>) -> Self {
        Self(Arc::new(Parts { options, handler }))
    }

    /// Adds middleware inside what is already there: the first added is the outermost.
    #[must_use]
    pub fn with_middleware(&self, middleware: Arc<dyn Middleware>) -> Self {
        self.changed(|options| options.middleware.push(middleware))
    }

    /// Adds the middleware of a bundle, in its order.
    #[must_use]
    pub fn with_pipeline(&self, pipeline: &Pipeline) -> Self {
        self.changed(|options| options.middleware.extend_from_slice(pipeline.middleware()))
    }

    /// Limits the time of one call; zero means no limit.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        self.changed(|options| options.timeout = Some(timeout))
    }

    /// Adds data that middleware sees.
    #[must_use]
    pub fn with_metadata(&self, metadata: Map) -> Self {
        self.changed(|options| Arc::make_mut(&mut options.metadata).extend(metadata))
    }

    /// Gives each call a Context that differs from the caller's in this.
    #[must_use]
    pub fn with_context(&self, overrides: Overrides) -> Self {
        self.changed(|options| options.context = Some(Arc::new(overrides)))
    }

    /// Holds arguments against a schema before anything else sees them.
    #[must_use]
    pub fn with_schema(&self, schema: Schema) -> Self {
        self.changed(|options| options.schema = Some(Arc::new(schema)))
    }

    /// Says when a call begins a new execution.
    #[must_use]
    pub fn with_boundary(&self, boundary: Boundary) -> Self {
        self.changed(|options| options.boundary = boundary)
    }

    /// Says what handles stand on.
    #[must_use]
    pub fn with_handle_factory(&self, factory: Arc<dyn HandleFactory>) -> Self {
        self.changed(|options| options.handle_factory = factory)
    }

    /// A procedure that passes this one's result to `next`.
    #[must_use]
    pub fn pipe(&self, next: &Self) -> Self {
        let name = format!("{} | {}", self.name(), next.name());
        let (first, second) = (self.clone(), next.clone());
        Self::new(name, move |cx, args| {
            let (first, second) = (first.clone(), second.clone());
            async move {
                let between = first.call(&cx, args).await?;
                second.call(&cx, between).await
            }
        })
    }

    /// Its name in the graph, in spans and in events.
    pub fn name(&self) -> &str {
        &self.0.options.name
    }

    /// What it was made with.
    pub fn options(&self) -> &ProcedureOptions {
        &self.0.options
    }

    /// Executes the procedure below `cx`.
    ///
    /// # Errors
    ///
    /// Those of the handler and the middleware, `invalid_args` when the arguments do not fit the
    /// schema, `timeout`, the cancellation of `cx`, and those of [`track`].
    pub async fn call(&self, cx: &Context, args: Value) -> Result<Value> {
        self.execute(cx, args, Chunks::unread()).await
    }

    /// Executes a generator below `cx` while the stream is polled; what it hands out are the items,
    /// what it returns is [`ProcedureStream::returned`]. Dropping the stream cancels the call.
    pub fn stream(&self, cx: &Context, args: Value) -> ProcedureStream {
        let (procedure, cx) = (self.clone(), cx.clone());
        let body = |chunks| async move { procedure.execute(&cx, args, chunks).await };
        ProcedureStream::new(body)
    }

    /// Starts the procedure on the I/O runtime and answers its handle at once.
    pub fn start(&self, cx: &Context, args: Value) -> Handle {
        let procedure = self.clone();
        let options = &self.0.options;
        Handle::open(
            &*options.handle_factory,
            cx,
            &options.name,
            |cx| async move { procedure.call(&cx, args).await },
        )
    }

    async fn execute(&self, cx: &Context, args: Value, chunks: Chunks) -> Result<Value> {
        let parts = &self.0;
        let own = parts.options.context.as_deref();
        let own = own.map(|overrides| cx.part(overrides.clone()));
        let cx = own.as_ref().unwrap_or(cx);
        track(cx, parts.options.operation(), |cx| async move {
            parts.options.check(&args)?;
            if parts.options.middleware.is_empty() {
                return (parts.handler)(Call { cx, args, chunks }).await;
            }
            let envelope = parts.options.envelope(&cx);
            let innermost = move |args| (parts.handler)(Call { cx, args, chunks });
            Next::new(&envelope, &parts.options.middleware, Box::new(innermost))
                .run(args)
                .await
        })
        .await
    }

    fn changed(&self, change: impl FnOnce(&mut ProcedureOptions)) -> Self {
        let mut parts = Parts::clone(&self.0);
        change(&mut parts.options);
        Self(Arc::new(parts))
    }
}
