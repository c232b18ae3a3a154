//! A small HTTP/1.1 server on the loopback address, for the tests of the clients.

use std::sync::{Arc, Mutex};

use aikit_core::io::{self, AbortOnDrop};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

type Answer = dyn Fn(&str) -> String + Send + Sync;

/// Serves until it is dropped; keeps connections alive.
pub(crate) struct Server {
    pub(crate) port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    _task: AbortOnDrop,
}

impl Server {
    /// Serves what `answer` makes of the head of each request.
    pub(crate) fn start(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (seen, answer): (_, Arc<Answer>) = (Arc::clone(&requests), Arc::new(answer));
        let task = io::spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                io::spawn(serve(stream, Arc::clone(&answer), Arc::clone(&seen)));
            }
        });

        Self {
            port,
            requests,
            _task: AbortOnDrop(task.abort_handle()),
        }
    }

    /// The heads of the requests so far, in lower case.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// A response with a short text.
pub(crate) fn ok(text: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    )
}

/// A response that leads elsewhere.
pub(crate) fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}

async fn serve(mut stream: TcpStream, answer: Arc<Answer>, seen: Arc<Mutex<Vec<String>>>) {
    let mut received = Vec::new();
    loop {
        let end = received.windows(4).position(|it| it == b"\r\n\r\n");
        let Some(end) = end else {
            match stream.read_buf(&mut received).await {
                Ok(1..) => continue,
                _ => return,
            }
        };
        let head = String::from_utf8_lossy(&received[..end]).to_lowercase();
        let length = head
            .split("content-length: ")
            .nth(1)
            .and_then(|it| it.lines().next());
        let whole = end + 4 + length.map_or(0, |it| it.trim().parse::<usize>().unwrap());
        while received.len() < whole {
            if !matches!(stream.read_buf(&mut received).await, Ok(1..)) {
                return;
            }
        }
        let body = String::from_utf8_lossy(&received[end + 4..whole]).into_owned();
        received.drain(..whole);
        let response = answer(&head);
        seen.lock().unwrap().push(format!("{head}\n\n{body}"));
        if stream.write_all(response.as_bytes()).await.is_err() {
            return;
        }
    }
}
