//! A connection outlives the runtime and the task that first used it: no "dispatch task is gone".

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use aikit_components::security::policy::Profile;
use aikit_core::{
    Context, io,
    services::{HttpRequest, Permission},
};
use futures::future::join_all;
use tokio::runtime::{Builder, Runtime};

use crate::{
    loopback::{Server, ok},
    session::{self, Setup},
    support::{guarded, wait},
};

/// A runtime of a caller's own, as a naive program makes one.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests show what such a runtime does"
)]
fn own_runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tests show what a plain client does"
)]
fn plain_client() -> reqwest::Client {
    // Makes the TLS provider known that a plain client takes.
    drop(own_client("http://127.0.0.1/"));
    reqwest::Client::new()
}

/// The client that the process keeps for the host of `url`.
fn own_client(url: &str) -> reqwest::Client {
    let url = url.to_owned();
    let found = wait(async move {
        let http = guarded(Profile::Notebook);
        http.client_for(&Context::default(), Permission::Model, &url)
            .await
    });
    found.unwrap()
}

async fn text(client: reqwest::Client, url: String) -> reqwest::Result<String> {
    client.get(url).send().await?.text().await
}

/// A server whose answer to `/held` waits until the sender speaks.
fn holding_server() -> (Server, mpsc::Sender<()>, mpsc::Receiver<()>) {
    let (release, held) = mpsc::channel::<()>();
    let (arrived, arrival) = mpsc::channel();
    let gate = std::sync::Mutex::new((held, arrived));
    let server = Server::start(move |head| {
        if head.starts_with("get /held") {
            let gate = gate.lock().unwrap();
            gate.1.send(()).unwrap();
            tokio::task::block_in_place(|| gate.0.recv().ok());
        }
        ok("answer")
    });
    (server, release, arrival)
}

/// Warms `client` on a runtime of its own, sends `/held` from another thread on the pooled
/// connection, and drops the first runtime while that request is in flight.
fn drop_the_runtime_in_flight(
    warm: impl Fn(&Runtime, String),
    ask: impl FnOnce(String) -> Result<String, String> + Send + 'static,
) -> Result<String, String> {
    let (server, release, arrival) = holding_server();
    let first = own_runtime();
    warm(&first, server.url("/"));
    let url = server.url("/held");
    let asking = thread::spawn(move || ask(url));
    // The connection stands on the first runtime, which must run for the request to leave.
    first.block_on(async {
        tokio::task::spawn_blocking(move || arrival.recv().unwrap())
            .await
            .unwrap();
    });
    drop(first);
    drop(release);
    asking.join().unwrap()
}

#[test]
fn a_plain_client_loses_its_connection_with_the_runtime_that_made_it() {
    let client = plain_client();
    let warming = client.clone();
    let outcome = drop_the_runtime_in_flight(
        move |runtime, url| {
            runtime.block_on(text(warming.clone(), url)).unwrap();
        },
        move |url| {
            own_runtime()
                .block_on(text(client, url))
                .map_err(|error| chain(&error))
        },
    );
    let error = outcome.unwrap_err();
    assert!(
        error.contains("dispatch") || error.contains("connection"),
        "{error}"
    );
}

#[test]
fn the_shared_client_keeps_its_connection_when_a_callers_runtime_ends() {
    let outcome = drop_the_runtime_in_flight(
        |runtime, url| {
            let client = own_client(&url);
            runtime.block_on(io::entered(text(client, url))).unwrap();
        },
        |url| {
            let client = own_client(&url);
            own_runtime()
                .block_on(io::entered(text(client, url)))
                .map_err(|error| chain(&error))
        },
    );
    assert_eq!(outcome.as_deref(), Ok("answer"));
}

#[test]
fn a_plain_client_hangs_when_the_runtime_of_its_connection_stands_still() {
    let server = Server::start(|_| ok("answer"));
    let client = plain_client();
    let standing = own_runtime();
    standing
        .block_on(text(client.clone(), server.url("/")))
        .unwrap();
    let waited = own_runtime().block_on(async {
        let asked = text(client, server.url("/"));
        tokio::time::timeout(Duration::from_millis(500), asked).await
    });
    assert!(
        waited.is_err(),
        "the pooled connection belongs to a runtime nobody drives"
    );
    drop(standing);
}

#[test]
fn the_shared_client_answers_when_a_callers_runtime_stands_still() {
    let server = Server::start(|_| ok("answer"));
    let client = own_client(&server.url("/"));
    let standing = own_runtime();
    let first = io::entered(text(client.clone(), server.url("/")));
    standing.block_on(first).unwrap();
    let second = own_runtime().block_on(io::entered(text(client, server.url("/"))));
    assert_eq!(second.unwrap(), "answer");
    drop(standing);
}

#[test]
fn ten_thousand_requests_from_short_lived_threads_and_tasks_all_succeed() {
    const ROUNDS: usize = 50;
    const REQUESTS: usize = 200;
    let server = Server::start(|_| ok("answer"));
    let folder = tempfile::tempdir().unwrap();
    let cx = session::open(folder.path(), Setup::default());
    let url: Arc<str> = server.url("/").into();
    let ask = move || {
        let (cx, url) = (cx.clone(), Arc::clone(&url));
        async move {
            let request = HttpRequest {
                method: "GET".to_owned(),
                url: url.to_string(),
                headers: Vec::new(),
                body: None,
                timeout: Duration::from_mins(1),
                max_bytes: 100,
            };
            let answer = cx.services.http()?.send(&cx.context, request).await?;
            aikit_core::Result::Ok(answer.body == "answer")
        }
    };
    let mut answered = 0;
    for round in 0..ROUNDS {
        let asked: Vec<_> = (0..REQUESTS).map(|_| ask()).collect();
        let answers: Vec<aikit_core::Result<bool>> = match round % 3 {
            // A runtime that lives for this round only.
            0 => thread::spawn(|| own_runtime().block_on(join_all(asked)))
                .join()
                .unwrap(),
            // Tasks that end with their request.
            1 => wait(async {
                let tasks = asked.into_iter().map(io::spawn);
                join_all(tasks)
                    .await
                    .into_iter()
                    .map(Result::unwrap)
                    .collect()
            }),
            // Threads that wait as a script does.
            _ => {
                let waiting = |it| thread::spawn(|| wait(it));
                let threads: Vec<_> = asked.into_iter().map(waiting).collect();
                threads.into_iter().map(|it| it.join().unwrap()).collect()
            }
        };
        answered += answers
            .into_iter()
            .filter(|it| matches!(it, Ok(true)))
            .count();
    }
    assert_eq!(answered, ROUNDS * REQUESTS);
    assert_eq!(server.requests().len(), ROUNDS * REQUESTS);
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
