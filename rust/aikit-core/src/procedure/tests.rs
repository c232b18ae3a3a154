//! What a procedure does around its handler.

use futures::{StreamExt as _, channel::mpsc};

use super::*;
use crate::{ErrorKind, event::EventKind, graph::Status, io, tracker};

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
            let until_now = handle.events_until_now();
            let (first, ready) = (
                handle.event(0).await.unwrap(),
                handle.event(1).await.unwrap(),
            );
            assert_eq!(until_now.len(), 2);
            assert!(Arc::ptr_eq(&until_now[0], &first) && Arc::ptr_eq(&until_now[1], &ready));
            handle.cancel("enough");
            let result = handle.result().await;
            assert_eq!(handle.view().events_until_now().len(), 3);
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

#[derive(Debug)]
struct CancelsAll;

impl Middleware for CancelsAll {
    fn call<'a>(
        &'a self,
        args: Value,
        envelope: &'a Envelope,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<Value>> {
        envelope.handle.as_ref().unwrap().cancel("enough");
        next.run(args)
    }
}

#[test]
fn the_handle_that_middleware_sees_is_that_of_the_whole_operation() {
    let inner = add(1).with_middleware(Arc::new(CancelsAll));
    let outer = Procedure::new("outer", move |cx, args| {
        let inner = inner.clone();
        async move {
            let inside = inner.call(&cx, args).await;
            assert_eq!(inside.unwrap_err().message(), "enough");
            cx.check().map(|()| Value::Null)
        }
    });
    let handle = outer.start(&Context::default(), Value::Int(1));
    let result = io::wait(async move { handle.result().await }, || Ok(())).unwrap();
    assert_eq!(result.unwrap_err().message(), "enough");
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

#[test]
fn a_handle_tells_what_its_work_has_used_until_now() {
    let ask = Procedure::new("ask", |cx, _| async move {
        cx.metrics().add("usage.requests", 1.0);
        cx.metrics().add("usage.input_tokens", 10.0);
        Ok(Value::Null)
    });
    let inner = ask.clone();
    let outer = Procedure::new("outer", move |cx, _| {
        let (ask, inner) = (ask.clone(), inner.clone());
        async move {
            ask.call(&cx, Value::Null).await?;
            let beside = inner.start(&cx, Value::Null);
            beside.result().await?;
            assert!((beside.usage().requests - 1.0).abs() < f64::EPSILON);
            cx.emit(EventKind::Custom("halfway".to_owned()), Value::Null);
            std::future::pending().await
        }
    });
    let caller = Context::default();
    let around = tracker::Execution::begin(&caller, &Operation::new("around")).unwrap();
    let cx = around.context().clone();
    cx.metrics().add("usage.requests", 5.0);
    let handle = outer.start(&cx, Value::Null);
    let usage = wait(async move {
        let mut read = 0;
        while let Some(event) = handle.event(read).await {
            read = event.sequence;
            if event.kind.name() == "halfway" {
                // It still runs, and so nothing of it stands in its caller.
                assert!((cx.metrics().usage().requests - 5.0).abs() < f64::EPSILON);
                handle.cancel("enough");
            }
        }
        (handle.usage(), cx.metrics().usage())
    });
    assert_eq!((usage.0.requests, usage.0.input_tokens), (2.0, 20.0));
    assert_eq!((usage.1.requests, usage.1.input_tokens), (7.0, 20.0));
}

/// What a future gives on the runtime, where it may wait.
fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    io::wait(future, || Ok(())).unwrap()
}

fn counter() -> Procedure {
    Procedure::generator("count", |mut call| async move {
        let count = call.args.as_i64().unwrap_or(0);
        for number in 1..=count {
            call.chunks.push(&call.cx, Value::Int(number)).await?;
        }
        Ok(Value::from("done"))
    })
}

#[test]
fn a_generator_hands_out_chunks_and_keeps_what_it_returns() {
    let (chunks, returned) = wait(async {
        let mut stream = counter().stream(&Context::default(), Value::Int(3));
        let mut chunks = Vec::new();
        while let Some(chunk) = stream.next().await {
            chunks.push(chunk.unwrap().as_i64().unwrap());
        }
        (chunks, stream.returned().cloned())
    });
    assert_eq!(chunks, [1, 2, 3]);
    assert_eq!(returned, Some(Value::from("done")));
    assert_eq!(call(&counter(), 3).unwrap(), Value::from("done"));
}

#[test]
fn the_chunks_of_a_generator_are_events_of_its_handle() {
    let handle = counter().start(&Context::default(), Value::Int(2));
    let chunks = wait(async move {
        handle.result().await.unwrap();
        let (sender, mut heard) = mpsc::unbounded();
        // Listened to after the end: what was there is heard all the same.
        let listening = handle.view().on("stream:chunk", move |event| {
            drop(sender.unbounded_send(event.data.clone()));
        });
        let mut chunks = Vec::new();
        while let Some(data) = heard.next().await {
            chunks.push((data.get("index").cloned(), data.get("value").cloned()));
        }
        drop(listening);
        assert_eq!(
            (handle.status(), handle.trace_id().len()),
            (Status::Completed, 32)
        );
        chunks
    });
    let pair = |index, value| (Some(Value::Int(index)), Some(Value::Int(value)));
    assert_eq!(chunks, [pair(0, 1), pair(1, 2)]);
}

#[test]
fn a_stream_that_is_dropped_early_ends_its_call_as_cancelled() {
    let cx = Context::default();
    let mut stream = counter().stream(&cx, Value::Int(1_000_000));
    assert_eq!(
        stream.next().now_or_never().unwrap().unwrap().unwrap(),
        Value::Int(1)
    );
    drop(stream);
    assert_eq!(cx.graph().root().unwrap().status(), Status::Cancelled);
}

#[test]
fn a_cancelled_context_ends_a_stream_between_two_chunks() {
    let cx = Context::default();
    let mut stream = counter().stream(&cx, Value::Int(1_000_000));
    assert!(stream.next().now_or_never().unwrap().unwrap().is_ok());
    cx.cancel(ErrorKind::Cancelled, "enough");
    let rest: Vec<_> = stream.collect::<Vec<_>>().now_or_never().unwrap();
    let error = rest.into_iter().find_map(Result::err).unwrap();
    assert_eq!(error.message(), "enough");
}

#[derive(Debug)]
struct Cancels;
impl Middleware for Cancels {
    fn call<'a>(
        &'a self,
        args: Value,
        envelope: &'a Envelope,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<Value>> {
        envelope.context.cancel(ErrorKind::Cancelled, "in between");
        next.run(args)
    }
}

#[test]
fn a_cancelled_context_aborts_before_the_handler_and_in_middleware() {
    let double = ProcedureDouble::new("double", [Ok(Value::Int(1))]);
    let cx = Context::default();
    cx.cancel(ErrorKind::Cancelled, "enough");
    let before = double.procedure().call(&cx, Value::Null).now_or_never();
    assert_eq!(before.unwrap().unwrap_err().message(), "enough");
    let guarded = double.procedure().with_middleware(Arc::new(Cancels));
    let within = guarded
        .call(&Context::default(), Value::Null)
        .now_or_never();
    assert_eq!(within.unwrap().unwrap_err().message(), "in between");
    assert!(double.calls().is_empty());
}

#[test]
fn a_double_answers_by_its_script_and_remembers_its_calls() {
    let refused = Error::new(ErrorKind::Network, "no way");
    let double = ProcedureDouble::new("double", [Ok(Value::Int(1)), Err(refused)]);
    let answers = [1, 2, 3].map(|args| call(double.procedure(), args));
    assert_eq!(answers[0].as_ref().unwrap(), &Value::Int(1));
    assert_eq!(answers[1].as_ref().unwrap_err().message(), "no way");
    let exhausted = answers[2].as_ref().unwrap_err();
    assert_eq!(
        exhausted.message(),
        "the double `double` has no answer for call 3"
    );
    assert_eq!(double.calls(), [1, 2, 3].map(Value::Int));
    assert_eq!(double.remaining(), 0);
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sides {
    width: i64,
    height: i64,
}

#[test]
fn a_typed_function_has_the_schema_of_its_arguments() {
    let area = Procedure::typed("area", |_, sides: Sides| async move {
        Ok(sides.width * sides.height)
    })
    .unwrap();
    let ask = |args: Value| area.call(&Context::default(), args).now_or_never().unwrap();
    let sides = |height: Value| Value::map([("width", Value::Int(2)), ("height", height)]);
    assert_eq!(ask(sides(Value::Int(3))).unwrap(), Value::Int(6));
    let error = ask(sides(Value::from("tall"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgs);
    assert!(
        error.message().starts_with("`area`: field `height`: "),
        "{error}"
    );
}

#[test]
fn a_guard_lets_a_call_go_on_or_denies_it() {
    let is_small = Guard::new("small", |args: &Value, envelope: &Envelope| {
        assert_eq!(&*envelope.operation_name, "add_1");
        let is_small = args.as_i64().is_some_and(|it| it < 10);
        std::future::ready(Ok(is_small)).boxed()
    });
    let guarded = add(1).with_middleware(Arc::new(is_small));
    assert_eq!(call(&guarded, 5).unwrap(), Value::Int(6));
    let error = call(&guarded, 50).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.message().contains("`small`") && error.hint().is_some());
}

#[test]
fn a_pipe_of_any_length_and_a_factory_bundle_what_belongs_together() {
    let all: Vec<_> = (1..=9).map(add).collect();
    assert_eq!(call(&pipe(&all).unwrap(), 0).unwrap(), Value::Int(45));
    let only = pipe(&all[..1]).unwrap();
    assert!(Arc::ptr_eq(&only.0, &all[0].0));
    assert_eq!(pipe(&[]).unwrap_err().kind(), ErrorKind::InvalidArgs);

    let pipeline = Pipeline::new().with_middleware(Arc::new(Double));
    assert_eq!(
        call(&add(1).with_pipeline(&pipeline), 5).unwrap(),
        Value::Int(111)
    );
    let factory = Factory::of_hooks(pipeline);
    let handler = |call: Call| std::future::ready(Ok(call.args)).boxed();
    let made = factory.make(ProcedureOptions::new("same"), Arc::new(handler));
    assert_eq!(made.options().source_type, SourceType::Hook);
    assert_eq!(call(&made, 5).unwrap(), Value::Int(110));
}

#[test]
fn a_procedure_brings_its_own_context_and_metadata() {
    let seen = Procedure::new("seen", |cx, _| async move {
        Ok(Value::List(vec![
            cx.metadata().get("a").cloned().unwrap_or_default(),
            Value::from(cx.trace_id()),
        ]))
    });
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let own = seen.with_context(Overrides {
        trace_id: Some(trace_id.to_owned()),
        metadata: Map::from_iter([("a".to_owned(), Value::Int(1))]),
        ..Overrides::default()
    });
    let expected = Value::List(vec![Value::Int(1), Value::from(trace_id)]);
    assert_eq!(call(&own, 0).unwrap(), expected);
    assert_ne!(call(&seen, 0).unwrap(), expected);
    let data = Map::from_iter([("b".to_owned(), Value::Int(2))]);
    assert_eq!(own.with_metadata(data).options().metadata.len(), 1);
    assert!(own.options().metadata.is_empty());
}

#[test]
fn middleware_knows_the_handle_of_its_operation() {
    #[derive(Debug)]
    struct Stops;
    impl Middleware for Stops {
        fn call<'a>(
            &'a self,
            _: Value,
            envelope: &'a Envelope,
            _: Next<'a>,
        ) -> BoxFuture<'a, Result<Value>> {
            envelope.handle.as_ref().unwrap().cancel("by middleware");
            std::future::pending().boxed()
        }
    }
    let handle = add(1)
        .with_middleware(Arc::new(Stops))
        .start(&Context::default(), Value::Int(1));
    let error = wait(async move { handle.result().await }).unwrap_err();
    assert_eq!(error.message(), "by middleware");
}

#[test]
fn a_handle_factory_keeps_the_events_of_several_operations_together() {
    #[derive(Debug, Default)]
    struct Together(Arc<crate::event::EventLog>);
    impl HandleFactory for Together {
        fn open(&self, cx: &Context, _: &str) -> (Context, Arc<crate::event::EventLog>) {
            (cx.child(Overrides::default()), Arc::clone(&self.0))
        }
    }
    let together = Together::default();
    let log = Arc::clone(&together.0);
    let marked = add(1).with_handle_factory(Arc::new(together));
    let handles = [1, 2].map(|it| marked.start(&Context::default(), Value::Int(it)));
    let results = handles.map(|handle| wait(async move { handle.result().await }).unwrap());
    assert_eq!(results, [Value::Int(2), Value::Int(3)]);
    let kinds = wait(async move {
        let mut kinds = Vec::new();
        for place in 0..4 {
            kinds.push(log.next(place).await.unwrap().kind.clone());
        }
        kinds
    });
    let count = |kind: &EventKind| kinds.iter().filter(|it| *it == kind).count();
    assert_eq!(count(&EventKind::ProcedureStart), 2, "{kinds:?}");
    assert_eq!(count(&EventKind::ProcedureEnd), 2, "{kinds:?}");
}

#[test]
fn a_middleware_that_panics_harms_its_own_call_only() {
    #[derive(Debug)]
    struct Panics;
    impl Middleware for Panics {
        fn call<'a>(
            &'a self,
            args: Value,
            _: &'a Envelope,
            next: Next<'a>,
        ) -> BoxFuture<'a, Result<Value>> {
            assert!(args != Value::Int(1), "as wanted");
            next.run(args)
        }
    }
    let cx = Context::default();
    let broken = add(1).with_middleware(Arc::new(Panics));
    let call = |procedure: &Procedure, number| {
        let (procedure, cx) = (procedure.clone(), cx.clone());
        wait(async move { procedure.call(&cx, Value::Int(number)).await })
    };
    let error = call(&broken, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(error.message(), "`add_1` panicked: as wanted");
    assert_eq!(call(&broken, 2).unwrap(), Value::Int(3));
    assert_eq!(call(&add(1), 1).unwrap(), Value::Int(2));
    assert!(cx.check().is_ok());
    let handle = broken.start(&cx, Value::Int(1));
    let error = wait(async move { handle.result().await }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
}
