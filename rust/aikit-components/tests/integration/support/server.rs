//! A small HTTP/1.1 server on the loopback address that gives recorded replies.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use aikit_core::io;
use serde_json::Value as Json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// The answer of a model that says hello.
pub(crate) const HELLO: &str = r#"{"id": "1", "object": "chat.completion", "created": 1, "model": "tiny-2",
    "choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": "Hello é😀"}}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}}"#;

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Method and path: `POST /v1/chat/completions`.
    pub(crate) line: String,
    /// Headers, one a line, in lower case.
    pub(crate) headers: String,
    /// The body.
    pub(crate) body: Json,
}

/// What follows the pieces of a reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// The end of the body.
    Whole,
    /// The connection breaks.
    Broken,
    /// Nothing, until the other side leaves.
    Silence,
}

/// A recorded reply.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: &'static str,
    pieces: Vec<Vec<u8>>,
    ending: Ending,
}

impl Reply {
    /// A whole JSON document.
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self {
            status,
            headers: "content-type: application/json\r\n",
            pieces: vec![body.as_bytes().to_vec()],
            ending: Ending::Whole,
        }
    }

    /// Server-sent events, in the given pieces.
    pub(crate) fn events(pieces: &[&[u8]]) -> Self {
        Self::pieces("content-type: text/event-stream\r\n", pieces)
    }

    /// A body in the given pieces.
    pub(crate) fn pieces(headers: &'static str, pieces: &[&[u8]]) -> Self {
        Self {
            status: 200,
            headers,
            pieces: pieces.iter().map(|it| it.to_vec()).collect(),
            ending: Ending::Whole,
        }
    }

    /// Adds a header line.
    pub(crate) fn with_headers(mut self, headers: &'static str) -> Self {
        self.headers = headers;
        self
    }

    /// Changes what follows the pieces.
    pub(crate) fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }
}

/// The server; it ends when dropped, and its connections with it.
#[derive(Debug)]
pub(crate) struct Server {
    /// Address of the API, ending in `/v1`.
    pub(crate) base_url: String,
    shared: Arc<Shared>,
    _task: io::AbortOnDrop,
}

#[derive(Debug)]
struct Shared {
    replies: Vec<Reply>,
    requests: Mutex<Vec<Request>>,
    /// Connections so far.
    connections: AtomicUsize,
    /// Clients that left a reply that ends in silence.
    left: watch::Sender<usize>,
    /// Whether replies may be sent.
    is_open: watch::Sender<bool>,
}

impl Server {
    /// Gives `replies` one after the other, the last one for ever.
    pub(crate) fn start(replies: Vec<Reply>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            replies,
            requests: Mutex::default(),
            connections: AtomicUsize::new(0),
            left: watch::Sender::new(0),
            is_open: watch::Sender::new(true),
        });
        let serving = Arc::clone(&shared);
        let task = io::spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let mut connections = JoinSet::new();
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                serving.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(Arc::clone(&serving).serve(connection));
            }
        });
        Self {
            base_url,
            shared,
            _task: io::AbortOnDrop(task.abort_handle()),
        }
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Holds replies back, or lets them go.
    pub(crate) fn set_open(&self, is_open: bool) {
        self.shared.is_open.send_replace(is_open);
    }

    /// Waits until a client has left a reply that ends in silence.
    pub(crate) async fn left(&self) {
        let mut left = self.shared.left.subscribe();
        left.wait_for(|count| *count > 0).await.unwrap();
    }
}

impl Shared {
    /// Answers the requests of one connection until either side leaves.
    async fn serve(self: Arc<Self>, mut connection: TcpStream) {
        while let Some(request) = read(&mut connection).await {
            let index = {
                let mut seen = self.requests.lock().unwrap();
                seen.push(request);
                (seen.len() - 1).min(self.replies.len() - 1)
            };
            self.is_open.subscribe().wait_for(|it| *it).await.unwrap();
            let reply = &self.replies[index];
            // A client that leaves early is a case under test, not a failure.
            drop(write(&mut connection, reply).await);
            match reply.ending {
                Ending::Whole => {}
                Ending::Broken => return,
                Ending::Silence => {
                    drop(connection.read_to_end(&mut Vec::new()).await);
                    self.left.send_modify(|count| *count += 1);
                    return;
                }
            }
        }
    }
}

async fn read(connection: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if connection.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break end;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let (line, headers) = head.split_once("\r\n")?;
    let headers = headers.to_lowercase();
    let length: usize = headers
        .lines()
        .find_map(|it| it.strip_prefix("content-length: "))
        .map_or(0, |it| it.parse().unwrap());
    while bytes.len() < end + 4 + length {
        if connection.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request {
        line: line.trim_end_matches(" HTTP/1.1").to_owned(),
        headers,
        body: serde_json::from_slice(&bytes[end + 4..]).unwrap_or_default(),
    })
}

async fn write(connection: &mut TcpStream, reply: &Reply) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let head = format!(
        "HTTP/1.1 {} Recorded\r\n{}transfer-encoding: chunked\r\n\r\n",
        reply.status, reply.headers
    );
    connection.write_all(head.as_bytes()).await?;
    for piece in reply.pieces.iter().filter(|it| !it.is_empty()) {
        let size = format!("{:x}\r\n", piece.len());
        let chunk = [size.as_bytes(), piece, b"\r\n"].concat();
        connection.write_all(&chunk).await?;
        connection.flush().await?;
    }
    if reply.ending == Ending::Whole {
        connection.write_all(b"0\r\n\r\n").await?;
    }
    Ok(())
}
