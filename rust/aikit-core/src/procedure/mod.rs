//! A procedure: a tracked, cancellable unit of work with middleware.

mod handle;
mod middleware;

use std::{fmt, sync::Arc, time::Duration};

use futures::future::BoxFuture;

pub use self::{
    handle::Handle,
    middleware::{Envelope, Middleware, Next},
};
use crate::{
    Result, Value,
    context::Context,
    tracker::{Operation, track},
    value::Map,
};

type Handler = dyn Fn(Context, Value) -> BoxFuture<'static, Result<Value>> + Send + Sync;

/// A named piece of work. Cheap to clone; every `with_` answers a new one and leaves this as it is.
#[derive(Clone)]
pub struct Procedure(Arc<Parts>);

#[derive(Clone)]
struct Parts {
    name: Arc<str>,
    handler: Arc<Handler>,
    middleware: Vec<Arc<dyn Middleware>>,
    timeout: Option<Duration>,
    metadata: Map,
}

impl fmt::Debug for Procedure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Procedure")
            .field("name", &self.0.name)
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
        Self(Arc::new(Parts {
            name: name.into(),
            handler: Arc::new(move |cx, args| Box::pin(handler(cx, args))),
            middleware: Vec::new(),
            timeout: None,
            metadata: Map::new(),
        }))
    }

    /// Adds middleware inside what is already there: the first added is the outermost.
    #[must_use]
    pub fn with_middleware(&self, middleware: Arc<dyn Middleware>) -> Self {
        self.changed(|parts| parts.middleware.push(middleware))
    }

    /// Limits the time of one call; zero means no limit.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        self.changed(|parts| parts.timeout = Some(timeout).filter(|it| !it.is_zero()))
    }

    /// Adds data that middleware sees.
    #[must_use]
    pub fn with_metadata(&self, metadata: Map) -> Self {
        self.changed(|parts| parts.metadata.extend(metadata))
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
        &self.0.name
    }

    /// Executes the procedure below `cx`.
    ///
    /// # Errors
    ///
    /// Those of the handler and the middleware, `timeout`, and the cancellation of `cx`.
    pub async fn call(&self, cx: &Context, args: Value) -> Result<Value> {
        let parts = Arc::clone(&self.0);
        let operation = Operation::new(Arc::clone(&parts.name)).with_timeout(parts.timeout);
        track(cx, operation, |cx| async move {
            let envelope = Envelope {
                operation_name: Arc::clone(&parts.name),
                pid: cx.node().map(|node| node.pid),
                metadata: parts.metadata.clone(),
                context: cx.clone(),
            };
            let handler = Arc::clone(&parts.handler);
            let innermost = move |args| handler(cx, args);
            Next::new(&envelope, &parts.middleware, Box::new(innermost))
                .run(args)
                .await
        })
        .await
    }

    /// Starts the procedure on the I/O runtime and answers its handle at once.
    pub fn start(&self, cx: &Context, args: Value) -> Handle {
        let procedure = self.clone();
        Handle::start(cx, move |cx| async move { procedure.call(&cx, args).await })
    }

    fn changed(&self, change: impl FnOnce(&mut Parts)) -> Self {
        let mut parts = Parts::clone(&self.0);
        change(&mut parts);
        Self(Arc::new(parts))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::{Error, ErrorKind, context::Overrides, event::EventKind, io};

    fn add(amount: i64) -> Procedure {
        Procedure::new(format!("add_{amount}"), move |_, args| async move {
            let number = args
                .as_i64()
                .ok_or_else(|| Error::invalid_args("not a number"))?;
            Ok(Value::Int(number + amount))
        })
    }

    #[derive(Debug)]
    struct Double;

    impl Middleware for Double {
        fn call<'a>(
            &'a self,
            args: Value,
            _: &'a Envelope,
            next: Next<'a>,
        ) -> BoxFuture<'a, Result<Value>> {
            async move {
                let answer = next.run(Value::Int(args.as_i64().unwrap_or(0) * 2)).await?;
                Ok(Value::Int(answer.as_i64().unwrap_or(0) + 100))
            }
            .boxed()
        }
    }

    fn call(procedure: &Procedure, args: i64) -> Result<Value> {
        procedure
            .call(&Context::default(), Value::Int(args))
            .now_or_never()
            .unwrap()
    }

    #[test]
    fn middleware_sees_arguments_and_result_and_the_original_stays() {
        let plain = add(1);
        let doubled = plain.with_middleware(Arc::new(Double));
        assert_eq!(call(&doubled, 5).unwrap(), Value::Int(111));
        assert_eq!(call(&plain, 5).unwrap(), Value::Int(6));
    }

    #[test]
    fn a_pipe_passes_the_result_on() {
        assert_eq!(call(&add(1).pipe(&add(10)), 5).unwrap(), Value::Int(16));
    }

    #[test]
    fn a_timeout_ends_a_call_that_never_would() {
        let slow = Procedure::new("slow", |_, _| std::future::pending())
            .with_timeout(Duration::from_millis(5));
        let handle = slow.start(&Context::default(), Value::Null);
        let result = io::wait(async move { handle.result().await }, || Ok(())).unwrap();
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Timeout);
    }

    #[test]
    fn a_handle_replays_its_events_and_can_be_cancelled() {
        let waiting = Procedure::new("waiting", |cx, _| async move {
            cx.emit(EventKind::Custom("ready".to_owned()), Value::Int(1));
            std::future::pending().await
        });
        let handle = waiting.start(&Context::default(), Value::Null);
        let (result, names) = io::wait(
            async move {
                assert_eq!(handle.event(1).await.unwrap().kind.name(), "ready");
                handle.cancel("enough");
                let result = handle.result().await;
                let mut names = Vec::new();
                while let Some(event) = handle.event(names.len() as u64).await {
                    names.push(event.kind.name().to_owned());
                }
                (result, names)
            },
            || Ok(()),
        )
        .unwrap();
        assert_eq!(result.unwrap_err().message(), "enough");
        assert_eq!(names, ["procedure.start", "ready", "procedure.error"]);
    }

    #[test]
    fn a_handle_of_work_that_panics_ends() {
        let cx = Context::create(Overrides {
            timeout: Some(Duration::from_secs(30)),
            ..Overrides::default()
        });
        let broken = Procedure::new("broken", |cx, _| async move {
            cx.emit(EventKind::Custom("ready".to_owned()), Value::Null);
            assert!(std::hint::black_box(false), "as wanted");
            Ok(Value::Null)
        });
        let handle = broken.start(&Context::default(), Value::Null);
        let (result, last) = io::wait(
            async move {
                let result = handle.result().await;
                assert!(handle.is_finished());
                let mut read = 0;
                while let Some(event) = cx.within(handle.event(read)).await.unwrap() {
                    read = event.sequence;
                }
                (result, read)
            },
            || Ok(()),
        )
        .unwrap();
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Internal);
        assert_eq!(last, 3, "start, ready, error");
    }
}
