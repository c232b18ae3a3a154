//! What a script can call, described once for every script language.
//!
//! A row of these tables is all that an engine, the completion, the inspection and the reference
//! pages know of a function. Everything that crosses between a script and a row is data, ids and
//! [`Callable`](aikit_core::script::Callable)s, never a handle of one language, so the same rows
//! serve an engine in this process and one behind a byte pipe.

mod agent;
mod args;
mod artifact;
mod channel;
mod channel_session;
mod context;
mod display;
mod event;
mod graph;
mod hook;
mod host;
mod json;
mod log;
mod model;
mod params;
pub mod pipe;
mod plot;
mod procedure;
mod progress;
mod rag;
mod replay;
mod session;
mod sessions;
mod state;
mod stream;
mod task;
mod telemetry;
mod tool;
mod vector;

use std::{fmt, sync::Arc};

use aikit_core::{Error, Result, Value, broadcast::Delivery, script::ObjectId, value::Map};
use futures::future::BoxFuture;

pub(crate) use self::params::with_article;
pub use self::{
    args::{Arg, Args, ObjectRef},
    host::{Host, LocalHost, Resource, StreamId, Target},
    params::{Kind, Known, Param, optional, required, secret},
    session::Session,
};

/// One global of the script, such as `Tool`; an empty name stands for the globals themselves.
#[derive(Debug)]
pub struct ApiModule {
    /// Name of the global.
    pub name: &'static str,
    /// One sentence for `inspect` replies and the reference page.
    pub summary: &'static str,
    /// Its functions.
    pub functions: &'static [ApiFunction],
    /// Classes of the objects its functions give.
    pub classes: &'static [ApiClass],
    /// What calling the module itself does, where that does not make an object.
    pub call: Option<ApiFunction>,
    /// Members that are known only while a session runs.
    pub members: Option<Members>,
    /// Whether the module has the member `null`, the value that stands for JSON's null.
    pub has_null: bool,
    /// Functions, its call and methods of its classes among them, that may answer
    /// [`Return::NoRoom`]. They do nothing before they do.
    pub counted: &'static [&'static str],
}

impl ApiModule {
    /// A module of functions; the other fields are set with `..`.
    pub const fn new(name: &'static str, summary: &'static str) -> Self {
        Self {
            name,
            summary,
            functions: &[],
            classes: &[],
            call: None,
            members: None,
            has_null: false,
            counted: &[],
        }
    }

    /// What calling the module does: its own call, or the constructor of the class of its name.
    pub fn callee(&self) -> Option<&ApiFunction> {
        self.call.as_ref().or_else(|| {
            let class = self.classes.iter().find(|class| class.name == self.name)?;
            class.constructor.as_ref()
        })
    }

    /// The function `name`.
    pub fn function(&self, name: &str) -> Option<&ApiFunction> {
        self.functions.iter().find(|function| function.name == name)
    }
}

/// Members beside the rows: `Tool.count_words{…}` means `Tool.invoke("count_words", {…})`.
#[derive(Debug)]
pub struct Members {
    /// Function of the module that a member stands for; its first argument is the member's name.
    pub call: &'static str,
    /// Function of the module that lists the members as records with `name`, `summary` and
    /// `input_schema`.
    pub list: &'static str,
}

/// A kind of object that lives in the session.
#[derive(Debug)]
pub struct ApiClass {
    /// Name, shown by `tostring` and in messages.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Makes one: the call of the module of the same name.
    pub constructor: Option<ApiFunction>,
    /// Its methods.
    pub methods: &'static [ApiFunction],
    /// Data an object carries: name and what it means.
    pub fields: &'static [(&'static str, &'static str)],
}

impl ApiClass {
    /// The method `name`.
    pub fn method(&self, name: &str) -> Option<&ApiFunction> {
        self.methods.iter().find(|method| method.name == name)
    }
}

/// One function or method.
pub struct ApiFunction {
    /// Name inside the module or class.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// What it takes, in order. The last may be a table of named options.
    pub params: &'static [Param],
    /// What it gives, for the reference page.
    pub returns: &'static str,
    /// One line of Lua that shows it.
    pub example: &'static str,
    /// The implementation.
    pub call: Call,
}

impl fmt::Debug for ApiFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiFunction")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl ApiFunction {
    /// The function with its parameters: `Tool.invoke(name: string, args?: table)`.
    pub fn usage(&self, qualified: &str) -> String {
        let params: Vec<String> = self.params.iter().map(Param::usage).collect();
        format!("{qualified}({})", params.join(", "))
    }

    /// Checks arguments of a function that the engine implements itself, as those of the others
    /// are checked.
    ///
    /// # Errors
    ///
    /// `invalid_args`, naming the function, the argument, what was expected and what was found.
    pub fn check(&self, qualified: &str, args: Vec<Arg>) -> Result<()> {
        params::fit(self, qualified, args).map(drop)
    }

    /// Names and summaries of the options of the parameter that is a table of options.
    pub fn options(&self) -> impl Iterator<Item = &'static Param> {
        self.params.iter().flat_map(|param| param.kind.options())
    }
}

/// Who implements a row.
#[derive(Clone, Copy)]
pub enum Call {
    /// The session's side, with data.
    Host(fn(&Session, Args) -> BoxFuture<'static, Result<Return>>),
    /// Each engine, because the function works on values of the language itself.
    Engine,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host(_) => "Host",
            Self::Engine => "Engine",
        })
    }
}

/// The future of a row that has no reason to wait.
fn ready(returned: Result<Return>) -> BoxFuture<'static, Result<Return>> {
    Box::pin(std::future::ready(returned))
}

/// A record without its members that are null: a script reads them as `nil`, because a null of data
/// counts as true in Lua.
pub fn without_nulls(mut record: Value) -> Value {
    if let Value::Map(members) = &mut record {
        members.retain(|_, value| !value.is_null());
    }
    record
}

/// A row that the engine implements.
const fn row(
    name: &'static str,
    summary: &'static str,
    params: &'static [Param],
    returns: &'static str,
    example: &'static str,
) -> ApiFunction {
    ApiFunction {
        name,
        summary,
        params,
        returns,
        example,
        call: Call::Engine,
    }
}

/// What a call gives.
#[derive(Debug)]
pub enum Return {
    /// Data.
    Value(Value),
    /// An item of a subscription: data, and the next one again when it does not arrive.
    Delivery(Delivery),
    /// An object of the session.
    Object(Created),
    /// A stream to pull from.
    Stream(StreamId),
    /// Data, and what a cell shows it as.
    Shown(Value, Appearance),
    /// Something that is shown at once.
    Display(Box<Displayed>),
    /// It is refused because the script holds too much. An engine collects what the script has
    /// dropped and asks again; with a second refusal the call fails with this error.
    NoRoom(Error),
}

/// What something looks like, written anew whenever it is shown: most of what is made never is.
#[derive(Clone)]
pub struct Appearance(Arc<dyn Fn() -> Result<Map> + Send + Sync>);

impl Appearance {
    /// What `write` gives: representations by media type.
    pub fn new(write: impl Fn() -> Result<Map> + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// Representations by media type.
    ///
    /// # Errors
    ///
    /// Those of what writes them.
    pub fn bundle(&self) -> Result<Map> {
        (self.0)()
    }
}

impl fmt::Debug for Appearance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Appearance").finish_non_exhaustive()
    }
}

/// What a call shows in the output of the cell.
#[derive(Debug)]
pub struct Displayed {
    /// Representations by media type.
    pub bundle: Map,
    /// Metadata of the representations.
    pub metadata: Map,
    /// By what it can be replaced later.
    pub display_id: String,
    /// Whether it replaces what was shown under that identity.
    pub is_update: bool,
    /// What stands for it in the script.
    pub object: Option<Created>,
}

/// A new object: its class, its identity and the data it carries.
#[derive(Debug)]
pub struct Created {
    /// Its class.
    pub class: &'static ApiClass,
    /// Its identity in the session's table.
    pub id: ObjectId,
    /// Its fields.
    pub fields: Map,
    /// Bytes that the session holds for it, about, for the collector of an engine, which sees the
    /// handle only; 0 where they do not matter.
    pub bytes: usize,
    /// What it is shown as, where that is not its name; never behind a pipe.
    pub appearance: Option<Appearance>,
}

/// Every global, in the order of the reference page.
pub const MODULES: &[&ApiModule] = &[
    &task::MODULE,
    &display::MODULE,
    &plot::MODULE,
    &progress::MODULE,
    &json::MODULE,
    &context::MODULE,
    &procedure::MODULE,
    &tool::MODULE,
    &model::MODULE,
    &agent::MODULE,
    &rag::MODULE,
    &vector::MODULE,
    &state::MODULE,
    &sessions::MODULE,
    &artifact::MODULE,
    &event::MODULE,
    &channel::MODULE,
    &stream::MODULE,
    &hook::MODULE,
    &replay::MODULE,
    &log::MODULE,
    &telemetry::MODULE,
];

/// The module `name`.
pub fn module(name: &str) -> Option<&'static ApiModule> {
    MODULES.iter().copied().find(|module| module.name == name)
}

/// The class `name`.
pub fn class(name: &str) -> Option<&'static ApiClass> {
    MODULES
        .iter()
        .flat_map(|module| module.classes)
        .find(|class| class.name == name)
}
