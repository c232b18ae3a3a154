//! What goes along over the byte pipe.

use std::sync::Arc;

use aikit_core::{Context, Value, broadcast::Delivery, context::Overrides, io, value::Map};
use aikit_runtime::api::{Host as _, Return, pipe};
use futures::stream;

use crate::support::Fixture;

#[test]
fn an_item_that_is_null_is_no_end() {
    let session = Fixture::new().session;
    let items = stream::iter([Ok(Value::Null), Ok(Value::Int(1))]);
    let Return::Stream(items) = session.insert_stream(items).unwrap() else {
        panic!("it is a stream");
    };
    let (ours, theirs) = tokio::io::duplex(64);
    let work = async move {
        let (reader, writer) = tokio::io::split(theirs);
        let cx = session.components().context.clone();
        let serving = io::spawn(pipe::serve(session, cx.clone(), reader, writer));
        let _serving = io::AbortOnDrop(serving.abort_handle());
        let (reader, writer) = tokio::io::split(ours);
        let host = pipe::PipeHost::new(reader, writer);
        for expected in [Some(Value::Null), Some(Value::Int(1)), None] {
            let item = host.next(&cx, items).await.unwrap();
            assert_eq!(item.map(Delivery::keep), expected);
        }
    };
    io::wait(work, || Ok(())).unwrap();
}

#[test]
fn the_metadata_of_a_caller_reach_the_items_of_a_stream() {
    let session = Fixture::new().session;
    let part = || {
        let cx = Context::try_get()?;
        cx.metadata().get("part").cloned()
    };
    let items = stream::repeat_with(move || Ok(part().unwrap_or(Value::from("none"))));
    let Return::Stream(items) = session.insert_stream(items).unwrap() else {
        panic!("it is a stream");
    };
    let (ours, theirs) = tokio::io::duplex(64);
    let work = async move {
        let (reader, writer) = tokio::io::split(theirs);
        let cx = session.components().context.clone();
        let serving = io::spawn(pipe::serve(session, cx, reader, writer));
        let _serving = io::AbortOnDrop(serving.abort_handle());
        let (reader, writer) = tokio::io::split(ours);
        let host = Arc::new(pipe::PipeHost::new(reader, writer));
        for part in ["a", "b"] {
            let cx = Context::default().child(Overrides {
                metadata: Map::from_iter([("part".to_owned(), Value::from(part))]),
                ..Overrides::default()
            });
            let item = host.next(&cx, items).await.unwrap();
            assert_eq!(item.map(Delivery::keep), Some(Value::from(part)));
        }
        let item = host.next(&Context::default(), items).await.unwrap();
        assert_eq!(item.map(Delivery::keep), Some(Value::from("none")));
    };
    io::wait(work, || Ok(())).unwrap();
}
