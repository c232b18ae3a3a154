//! Metadata that a host alone sets, over the byte pipe.

use aikit_core::{Context, Value, broadcast::Delivery, context::Overrides, io, value::Map};
use aikit_runtime::api::{Host as _, Return, pipe};
use futures::stream;

use crate::support::Fixture;

#[test]
fn whose_a_request_is_does_not_come_from_the_script() {
    let session = Fixture::new().session;
    let told = || Context::try_get().map(|cx| Value::Map(cx.metadata().clone()));
    let items = stream::repeat_with(move || Ok(told().unwrap_or_default()));
    let Return::Stream(items) = session.insert_stream(items).unwrap() else {
        panic!("it is a stream");
    };
    let (ours, theirs) = tokio::io::duplex(64);
    let text = |name: &str, value: &str| (name.to_owned(), Value::from(value));
    let work = async move {
        let (reader, writer) = tokio::io::split(theirs);
        let cx = Context::create(Overrides {
            metadata: Map::from_iter([text("session_id", "s1")]),
            ..Overrides::default()
        });
        let serving = io::spawn(pipe::serve(session, cx, reader, writer));
        let _serving = io::AbortOnDrop(serving.abort_handle());
        let (reader, writer) = tokio::io::split(ours);
        let host = pipe::PipeHost::new(reader, writer);
        let forged = ["session_id", "message_id", "part"].map(|name| text(name, "forged"));
        let cx = Context::create(Overrides {
            metadata: Map::from_iter(forged),
            ..Overrides::default()
        });
        let expected = Map::from_iter([text("session_id", "s1"), text("part", "forged")]);
        let item = host.next(&cx, items).await.unwrap();
        assert_eq!(item.map(Delivery::keep), Some(Value::Map(expected)));
    };
    io::wait(work, || Ok(())).unwrap();
}
