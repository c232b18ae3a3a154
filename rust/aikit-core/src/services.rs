//! What a tool may touch, given from above, so that tests and tenants give it others.

mod change;
mod http;
mod process;

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::{
    Error, ErrorKind, Result, Value,
    context::Context,
    model::{ChatModel, EmbeddingModel},
    value::Map,
};

pub use self::{
    change::{Change, ChangeKind, Entry, EntryKind, EntryOptions, NewContent, WriteMode, Written},
    http::{HttpClient, HttpRequest, HttpResponse, Sending},
    process::{ProcessOutput, ProcessRequest, Processes},
};

/// The services of one session. What is missing answers with `unavailable`.
#[derive(Clone, Debug, Default)]
pub struct Services {
    /// Who may do what; without one everything that needs a permission is denied.
    pub policy: Option<Arc<dyn Policy>>,
    /// Files, through the path guard.
    pub files: Option<Arc<dyn Files>>,
    /// HTTP, through the guarded client.
    pub http: Option<Arc<dyn HttpClient>>,
    /// Programs, through the process guard.
    pub processes: Option<Arc<dyn Processes>>,
    /// Questions to the user.
    pub ask: Option<Arc<dyn Ask>>,
    /// Models by name.
    pub models: Option<Arc<dyn Models>>,
}

impl Services {
    /// Files, through the path guard.
    ///
    /// # Errors
    ///
    /// `unavailable` when the host gave none.
    pub fn files(&self) -> Result<&Arc<dyn Files>> {
        self.files.as_ref().ok_or_else(|| missing("files"))
    }

    /// HTTP, through the guarded client.
    ///
    /// # Errors
    ///
    /// `unavailable` when the host gave none.
    pub fn http(&self) -> Result<&Arc<dyn HttpClient>> {
        self.http.as_ref().ok_or_else(|| missing("HTTP"))
    }

    /// Programs, through the process guard.
    ///
    /// # Errors
    ///
    /// `unavailable` when the host gave none.
    pub fn processes(&self) -> Result<&Arc<dyn Processes>> {
        self.processes
            .as_ref()
            .ok_or_else(|| missing("other programs"))
    }

    /// Questions to the user.
    ///
    /// # Errors
    ///
    /// `unavailable` when nobody can be asked.
    pub fn ask(&self) -> Result<&Arc<dyn Ask>> {
        self.ask
            .as_ref()
            .ok_or_else(|| missing("questions to the user"))
    }

    /// Models by name.
    ///
    /// # Errors
    ///
    /// `unavailable` when the host gave none.
    pub fn models(&self) -> Result<&Arc<dyn Models>> {
        self.models.as_ref().ok_or_else(|| missing("models"))
    }
}

fn missing(what: &str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("this host gives no access to {what}"),
    )
    .with_hint("run the call in a notebook, from Python or with `aikit run`")
}

/// What an action touches; a policy grants these one by one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Permission {
    /// Reads files.
    FileRead,
    /// Writes and deletes files.
    FileWrite,
    /// Opens network connections.
    Network,
    /// Sends data over the network.
    NetworkWrite,
    /// Runs other programs.
    Process,
    /// Sends a request to a model.
    Model,
}

impl Permission {
    /// The word used in schemas, messages and audit records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FileRead => "file_read",
            Self::FileWrite => "file_write",
            Self::Network => "network",
            Self::NetworkWrite => "network_write",
            Self::Process => "process",
            Self::Model => "model",
        }
    }
}

/// What a policy decides.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Do it.
    Allow,
    /// Ask the user; the text says what for.
    Ask(String),
    /// Do not do it.
    Deny {
        /// The rule that forbids it.
        rule: String,
        /// How to allow it.
        hint: String,
    },
}

/// What exactly an action touches.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// Nothing in particular: asks whether the permission can be granted at all.
    Any,
    /// A file or folder, absolute, its symbolic links resolved.
    Path(&'a Path),
    /// What would be changed of a file or folder, absolute, its folder's links resolved.
    Change {
        /// The file or folder.
        path: &'a Path,
        /// What would be done to it.
        change: &'a Change,
    },
    /// A program that would be run.
    Process(&'a ProcessRequest),
    /// A URL and every address its host stands for.
    Url {
        /// The absolute URL.
        url: &'a str,
        /// The addresses that would be connected to.
        addresses: &'a [IpAddr],
        /// What would be sent there, where it is known.
        sending: Option<Sending<'a>>,
    },
}

/// Decides who may do what: a function of profile, caller, permission and target.
pub trait Policy: fmt::Debug + Send + Sync {
    /// Decides without doing anything.
    fn decide(&self, cx: &Context, permission: Permission, target: Target<'_>) -> Decision;

    /// What the answer `always` would allow beside this action; `None` where each is asked.
    fn scope(&self, permission: Permission, target: Target<'_>) -> Option<String> {
        let (_, _) = (permission, target);
        None
    }

    /// Allows the user of `cx` for the rest of the session what [`Policy::scope`] says.
    fn remember(&self, cx: &Context, permission: Permission, target: Target<'_>) {
        let (_, _, _) = (cx, permission, target);
    }
}

/// What to list below a folder.
#[derive(Clone, Debug)]
pub struct ListOptions {
    /// Whether files and folders whose names begin with a dot are listed.
    pub hidden: bool,
    /// Whether `.gitignore` and `.ignore` files are honoured.
    pub honour_ignore: bool,
    /// Globs a path relative to the folder must match, if any are given.
    pub include: Vec<String>,
    /// Globs a path must not match.
    pub exclude: Vec<String>,
    /// Most entries to answer.
    pub max_entries: usize,
}

/// Part of a file.
#[derive(Clone, Debug)]
pub struct FilePart {
    /// The bytes read.
    pub bytes: Bytes,
    /// Size of the whole file in bytes.
    pub total_bytes: u64,
}

/// The only way to user files: every path is checked before it is opened.
pub trait Files: fmt::Debug + Send + Sync {
    /// Reads up to `limit` bytes from `offset`.
    fn read<'a>(
        &'a self,
        cx: &'a Context,
        path: &'a str,
        offset: u64,
        limit: u64,
    ) -> BoxFuture<'a, Result<FilePart>>;

    /// Where `path` leads, written as [`Files::list`] writes it: links resolved, and relative to
    /// the working directory where it is inside. One spelling for each file.
    fn resolve<'a>(&'a self, cx: &'a Context, path: &'a str) -> BoxFuture<'a, Result<PathBuf>>;

    /// Lists the files below `path` (or `path` itself if it is a file), sorted, as paths that
    /// [`Files::read`] accepts.
    fn list<'a>(
        &'a self,
        cx: &'a Context,
        path: &'a str,
        options: ListOptions,
    ) -> BoxFuture<'a, Result<Vec<PathBuf>>>;

    /// Lists the files and folders below the folder `path`, sorted by path.
    fn entries<'a>(
        &'a self,
        cx: &'a Context,
        path: &'a str,
        options: EntryOptions,
    ) -> BoxFuture<'a, Result<Vec<Entry>>> {
        let (_, _, _) = (cx, path, options);
        Box::pin(async { Err(missing("folders")) })
    }

    /// Writes a file, and the folders it stands in where they are missing.
    fn write<'a>(
        &'a self,
        cx: &'a Context,
        path: &'a str,
        content: NewContent,
    ) -> BoxFuture<'a, Result<Written>> {
        let (_, _, _) = (cx, path, content);
        Box::pin(async { Err(missing("writing files")) })
    }

    /// Deletes a file, a link (not what it leads to), an empty folder, or with `recursive` a
    /// folder and all in it; with `dry_run` it only says what it would delete. Answers the paths.
    fn delete<'a>(
        &'a self,
        cx: &'a Context,
        path: &'a str,
        recursive: bool,
        dry_run: bool,
    ) -> BoxFuture<'a, Result<Vec<PathBuf>>> {
        let (_, _, _, _) = (cx, path, recursive, dry_run);
        Box::pin(async { Err(missing("deleting files")) })
    }
}

/// A question to the user.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// What is asked.
    pub prompt: String,
    /// Answers to choose from; any answer when empty.
    pub choices: Vec<String>,
    /// Whether the answer must not be shown while it is typed.
    pub secret: bool,
}

/// What a script reads from its input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reading {
    /// A line without its end.
    Line,
    /// A line with its end.
    WholeLine,
    /// The text of a number, after white space.
    Number,
    /// Everything up to the end.
    All,
    /// At most so many bytes.
    Bytes(usize),
}

/// Asks the user: a prompt in a notebook or a terminal, a callback in Python.
pub trait Ask: fmt::Debug + Send + Sync {
    /// Waits for the answer.
    fn ask<'a>(&'a self, cx: &'a Context, question: Question) -> BoxFuture<'a, Result<String>>;

    /// Reads the input of a script; `None` at its end. Where there is none, the user is asked for
    /// a line.
    fn read<'a>(
        &'a self,
        cx: &'a Context,
        prompt: String,
        reading: Reading,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            if matches!(reading, Reading::All | Reading::Bytes(_)) {
                let message = "only lines and numbers can be read here";
                let hint = "read a line with `io.read()` or a number with `io.read(\"n\")`";
                return Err(Error::new(ErrorKind::Unavailable, message).with_hint(hint));
            }
            let question = Question {
                prompt,
                choices: Vec::new(),
                secret: false,
            };
            let line = self.ask(cx, question).await?;
            Ok(Some(match reading {
                Reading::WholeLine => (line + "\n").into_bytes(),
                Reading::Number => line.trim().as_bytes().to_vec(),
                _ => line.into_bytes(),
            }))
        })
    }
}

/// How to reach a model, beside its name.
#[derive(Clone, Default)]
pub struct ModelOptions {
    /// Address of the provider's API.
    pub base_url: Option<String>,
    /// Key of the provider's API.
    pub api_key: Option<String>,
    /// Options of one provider, such as the answers of a scripted model.
    pub extra: Map,
}

// By hand: every field may hold secrets.
impl fmt::Debug for ModelOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extra: Vec<&str> = self.extra.keys().map(|name| &**name).collect();
        f.debug_struct("ModelOptions")
            .field(
                "base_url",
                &self.base_url.as_deref().map(http::without_secrets),
            )
            .field("api_key", &self.api_key.as_ref().map(|_| "..."))
            .field("extra", &extra)
            .finish()
    }
}

/// Finds models by name.
pub trait Models: fmt::Debug + Send + Sync {
    /// A chat model by `provider:model`; `None` asks for the default one.
    ///
    /// # Errors
    ///
    /// `not_found` for an unknown provider, `unavailable` for a missing key.
    fn chat(&self, name: Option<&str>, options: ModelOptions) -> Result<Arc<dyn ChatModel>>;

    /// An embedding model by `provider:model`.
    ///
    /// # Errors
    ///
    /// As for [`Models::chat`].
    fn embedding(&self, name: &str, options: ModelOptions) -> Result<Arc<dyn EmbeddingModel>>;

    /// What is usable here and what each lacks: `{name, summary, usable, lacks, chat, embeddings}`
    /// each. Of servers of this machine it is looked for a short while whether they answer: those
    /// that do not also have the `error`, its `kind` and a `hint`. Nobody else is asked.
    fn list<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Vec<Value>>;

    /// As [`Models::list`], but all servers of the user's own are asked: their rows also have the
    /// `models` they serve, or the `error`, its `kind` and the `hint` of what makes them unusable.
    /// `provider` names one of them.
    ///
    /// # Errors
    ///
    /// `not_found` for an unknown provider.
    fn check<'a>(
        &'a self,
        cx: &'a Context,
        provider: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<Value>>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_logged_of_the_options_of_a_model_holds_no_secret() {
        let options = ModelOptions {
            base_url: Some("http://user:hidden@localhost:8080/v1?key=hidden".to_owned()),
            api_key: Some("hidden".to_owned()),
            extra: Map::from_iter([("token".to_owned(), Value::from("hidden"))]),
        };
        let shown = format!("{options:?}");
        assert!(!shown.contains("hidden"), "{shown}");
        for known in ["http://localhost:8080/v1", "api_key", "token"] {
            assert!(shown.contains(known), "{known}: {shown}");
        }
    }
}
