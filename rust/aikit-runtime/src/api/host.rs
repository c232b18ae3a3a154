//! The border between a script engine and the session: calls, streams, releases.

use std::time::Duration;

use aikit_components::nearest;
use aikit_core::{
    Context, Error, Result, Value,
    broadcast::Delivery,
    context::Overrides,
    script::ObjectId,
    services::{Entry, EntryKind, EntryOptions, ListOptions},
};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{ApiFunction, Arg, Args, Call, Return, Session, module, params};

/// Identity of a stream in a session's table.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct StreamId(pub u64);

/// What is called.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Target {
    /// A function of a module.
    Function {
        /// Name of the module.
        module: String,
        /// Name of the function.
        function: String,
    },
    /// A module itself.
    Module {
        /// Name of the module.
        module: String,
    },
    /// A method of an object.
    Method {
        /// The object's identity.
        object: u64,
        /// Name of the method.
        method: String,
    },
    /// The names in a folder, for the completion of paths.
    Folder {
        /// Its path, as tools take it.
        path: String,
        /// How the names begin.
        begin: String,
    },
}

/// What a script's handle stands for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Resource {
    /// An object.
    Object(u64),
    /// A stream.
    Stream(StreamId),
}

/// The session's side as an engine sees it: in this process or behind a pipe.
pub trait Host: std::fmt::Debug + Send + Sync {
    /// Checks the arguments and calls; ends early when `cx` is cancelled.
    fn call<'a>(
        &'a self,
        cx: &'a Context,
        target: Target,
        args: Vec<Arg>,
    ) -> BoxFuture<'a, Result<Return>>;

    /// The next item of a stream; `None` at its end.
    fn next<'a>(
        &'a self,
        cx: &'a Context,
        stream: StreamId,
    ) -> BoxFuture<'a, Result<Option<Delivery>>>;

    /// Forgets an object or a stream. Never waits.
    fn release(&self, resource: Resource);
}

/// The session in this process.
#[derive(Clone, Debug)]
pub struct LocalHost(Session);

impl LocalHost {
    /// Calls go to `session`.
    pub const fn new(session: Session) -> Self {
        Self(session)
    }
}

impl Host for LocalHost {
    fn call<'a>(
        &'a self,
        cx: &'a Context,
        target: Target,
        args: Vec<Arg>,
    ) -> BoxFuture<'a, Result<Return>> {
        Box::pin(async move {
            if let Target::Folder { path, begin } = &target {
                return self.names_in(path, begin).await.map(Return::Value);
            }
            let (function, qualified, this) = self.resolve(&target)?;
            let Call::Host(call) = function.call else {
                let message = format!("`{qualified}` belongs to the engine, not to the session");
                return Err(Error::internal(message));
            };
            let named = params::fit(function, &qualified, args)?;
            let running = call(&self.0, Args::new(cx.clone(), this, named));
            cx.run(cx.within(running)).await?
        })
    }

    fn next<'a>(
        &'a self,
        cx: &'a Context,
        stream: StreamId,
    ) -> BoxFuture<'a, Result<Option<Delivery>>> {
        Box::pin(cx.run(self.0.next(cx, stream)))
    }

    fn release(&self, resource: Resource) {
        self.0.release(resource);
    }
}

/// Most names of a folder that are given.
const NAMES_MAX: usize = 500;
/// How long a folder is looked at, which may lie on another machine.
const LOOK_LIMIT: Duration = Duration::from_secs(1);

impl LocalHost {
    /// The names that begin so in a folder that the user of the session may read, with a slash
    /// behind those of folders. One that begins with a dot is given to who has typed the dot.
    async fn names_in(&self, path: &str, begin: &str) -> Result<Value> {
        let components = self.0.components();
        let cx = components.context.part(Overrides {
            timeout: Some(LOOK_LIMIT),
            ..Overrides::default()
        });
        let options = EntryOptions {
            list: ListOptions {
                hidden: begin.starts_with('.'),
                honour_ignore: false,
                include: vec![format!("{}*", literal(begin))],
                exclude: Vec::new(),
                max_entries: NAMES_MAX,
            },
            max_depth: 1,
        };
        let files = components.services.files()?;
        let entries = cx.within(files.entries(&cx, path, options)).await??;
        let name = |entry: &Entry| {
            let name = entry.path.file_name()?.to_str()?;
            let slash = if entry.kind == EntryKind::Folder {
                "/"
            } else {
                ""
            };
            Some(Value::from(format!("{name}{slash}")))
        };
        Ok(Value::List(entries.iter().filter_map(name).collect()))
    }

    /// The row a target means, its full name, and the object it is called on.
    fn resolve(&self, target: &Target) -> Result<(&'static ApiFunction, String, Option<ObjectId>)> {
        match target {
            Target::Function { module, function } => {
                let (name, row) = (function, find_module(module)?);
                let found = row.function(name).ok_or_else(|| {
                    let names = row.functions.iter().map(|function| function.name);
                    unknown(&format!("function `{module}.{name}`"), name, names)
                })?;
                Ok((found, qualify(module, '.', name), None))
            }
            Target::Module { module } => {
                let found = find_module(module)?.callee().ok_or_else(|| {
                    Error::not_found(format!("the module `{module}` cannot be called"))
                })?;
                Ok((found, module.clone(), None))
            }
            Target::Method { object, method } => {
                let id = ObjectId(*object);
                let class = self.0.class_of(id)?;
                let found = class.method(method).ok_or_else(|| {
                    let names = class.methods.iter().map(|method| method.name);
                    unknown(&format!("method `{}:{method}`", class.name), method, names)
                })?;
                Ok((found, qualify(class.name, ':', method), Some(id)))
            }
            Target::Folder { .. } => Err(Error::internal("a folder is no function")),
        }
    }
}

/// The glob that matches this text only.
fn literal(text: &str) -> String {
    let mut glob = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '*' | '?' | '[' | ']' | '{' | '}' => glob.extend(['[', c, ']']),
            _ => glob.push(c),
        }
    }
    glob
}

fn find_module(name: &str) -> Result<&'static super::ApiModule> {
    module(name).ok_or_else(|| Error::not_found(format!("there is no module `{name}`")))
}

fn qualify(owner: &str, separator: char, name: &str) -> String {
    if owner.is_empty() {
        name.to_owned()
    } else {
        format!("{owner}{separator}{name}")
    }
}

fn unknown<'a>(what: &str, name: &str, names: impl Iterator<Item = &'a str>) -> Error {
    let names: Vec<&str> = names.collect();
    let otherwise = format!("there are {}", names.join(", "));
    Error::not_found(format!("there is no {what}")).with_hint(nearest::hint(name, names, otherwise))
}
