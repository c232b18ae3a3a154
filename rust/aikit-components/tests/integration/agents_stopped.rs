//! Agents that are cancelled: nothing of theirs goes on.

use aikit_components::agents::{Agent, AgentOptions};
use aikit_core::{ErrorKind, Value};

use crate::{
    agents::{Deed, agent, run_of, tool},
    support::{
        calling, model_at,
        server::{Ending, Reply, Server},
        tool_context, wait,
    },
};

#[test]
fn cancelling_leaves_nothing_running() {
    let agent = agent(
        vec![calling("wait", Value::Null)],
        vec![tool("wait", Deed::Wait)],
    );
    let cx = tool_context();
    let context = cx.context.clone();
    let error = wait(async move {
        let handle = agent.start(&cx, "go");
        let mut after = 0;
        while let Some(event) = handle.event(after).await {
            after += 1;
            if event.kind.name() == "procedure.start" && event.data.to_string().contains("wait") {
                handle.cancel("enough");
            }
        }
        handle.result().await.unwrap_err()
    });
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Cancelled, "enough")
    );
    assert_eq!(run_of(&error).usage.requests, 1);
    let running = context
        .graph()
        .all()
        .into_iter()
        .filter(|it| it.completed().is_none());
    assert_eq!(running.count(), 0);
}

#[test]
fn cancelling_a_request_in_flight_closes_its_connection() {
    let server = Server::start(vec![
        Reply::events(&[b": wait\n\n"]).ending(Ending::Silence),
    ]);
    let model = model_at(&server);
    let agent = Agent::new(AgentOptions::new(model)).unwrap();
    let error = wait(async move {
        let handle = agent.start(&tool_context(), "go");
        while server.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        handle.cancel("enough");
        server.left().await;
        handle.result().await.unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}
