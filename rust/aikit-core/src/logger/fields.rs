//! The fields of a record, and which of them a Context gives it.

use std::{
    borrow::Cow,
    cell::RefCell,
    fmt::{self, Write as _},
    ops::Range,
    sync::Arc,
};

use super::{
    line::write_digits,
    room::{Kept, Reusable, Room},
};
use crate::{
    Value,
    context::{Context, HOST_METADATA},
    quote,
    value::Map,
};

/// The fields of one record, in order, each name once. There are a dozen at most, most of whose
/// names are known beforehand: looking through them is quicker than hashing is.
///
/// Their texts stand one behind the other, so that one look tells that none of them holds a secret
/// or a character that is written otherwise, as nearly none does.
#[derive(Clone, Default)]
pub struct Fields(Room<Held>);

/// What a record's fields are held in.
#[derive(Clone, Default)]
pub(super) struct Held {
    fields: Vec<Field>,
    texts: String,
    /// Where in the texts end, at their start, those that aikit itself made: identities of
    /// hexadecimal digits, the name of a module.
    made_end: usize,
    /// A bit for each length of a name: most that are looked for have another one.
    lengths: u64,
}

thread_local! {
    static HELD: RefCell<Vec<Held>> = const { RefCell::new(Vec::new()) };
}

impl Reusable for Held {
    const KEPT: &'static Kept<Self> = &HELD;

    fn clear(&mut self) -> bool {
        self.fields.clear();
        self.texts.clear();
        self.made_end = 0;
        self.lengths = 0;
        self.fields.capacity() <= 64 && self.texts.capacity() <= 8 << 10
    }
}

/// One field.
#[derive(Clone)]
pub(super) struct Field {
    pub(super) name: Cow<'static, str>,
    content: Content,
    pub(super) origin: Origin,
}

/// Where the name of a field comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Origin {
    /// A field of the Context: a plain word that tells of no secret.
    Context,
    /// The source code of aikit: a plain word.
    Aikit,
    /// Others.
    Other,
}

/// What a field holds.
#[derive(Clone)]
enum Content {
    /// Where it stands among the texts.
    Text(Range<usize>),
    Int(i64),
    Bool(bool),
    Data(Value),
}

/// What a field says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldValue<'a> {
    /// A text.
    Text(&'a str),
    /// An integer.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// Anything else.
    Data(&'a Value),
}

impl Fields {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a field; of two with the same name the later wins.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: Value) {
        self.set_as(name.into(), value, Origin::Other);
    }

    /// Sets all of another; of two with the same name the other's wins.
    pub fn merge(&mut self, mut other: Self) {
        if self.0.fields.is_empty() {
            *self = other;
            return;
        }
        let start = self.0.texts.len();
        self.0.texts.push_str(&other.0.texts);
        for mut field in other.0.fields.drain(..) {
            if let Content::Text(place) = &mut field.content {
                *place = place.start + start..place.end + start;
            }
            self.replace(field);
        }
    }

    /// What a field says.
    pub fn get(&self, name: &str) -> Option<FieldValue<'_>> {
        if self.0.lengths & length(name) == 0 {
            return None;
        }
        let mut fields = self.0.fields.iter();
        fields.find(|it| it.name == name).map(|it| self.value(it))
    }

    /// Names and what they say, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, FieldValue<'_>)> {
        self.0.fields.iter().map(|it| (&*it.name, self.value(it)))
    }

    /// Sets a field whose name comes from `origin`.
    #[inline]
    pub(super) fn set_as(&mut self, name: Cow<'static, str>, value: Value, origin: Origin) {
        let content = match value {
            Value::String(text) => {
                return self.write(name, origin, |texts| texts.push_str(&text));
            }
            Value::Int(number) => Content::Int(number),
            Value::Bool(is) => Content::Bool(is),
            value => Content::Data(value),
        };
        self.put(Field {
            name,
            content,
            origin,
        });
    }

    /// Sets a field to a text, which `write` writes behind the others.
    pub(super) fn write(
        &mut self,
        name: Cow<'static, str>,
        origin: Origin,
        write: impl FnOnce(&mut String),
    ) {
        if origin != Origin::Context {
            // Looked through like a text: it may say that the text is a secret.
            self.0.texts.push_str(&name);
            self.0.texts.push(' ');
        }
        let content = Content::Text(self.hold(write));
        self.put(Field {
            name,
            content,
            origin,
        });
    }

    /// Keeps a text that is no field of its own; answers where.
    fn hold(&mut self, write: impl FnOnce(&mut String)) -> Range<usize> {
        let start = self.0.texts.len();
        write(&mut self.0.texts);
        let place = start..self.0.texts.len();
        self.0.texts.push(' ');
        place
    }

    /// As [`Self::add`], of an identity.
    fn add_identity(&mut self, name: &'static str, id: &str) {
        // The form of those that a Context makes; a host may have given another.
        let is_made = id.as_bytes().try_into().is_ok_and(is_made);
        let is_start = self.0.made_end == self.0.texts.len();
        self.add(name, |it| it.push_str(id));
        if is_made && is_start {
            self.0.made_end = self.0.texts.len();
        }
    }

    /// Adds a field of aikit's own, whose name no other has.
    fn add(&mut self, name: &'static str, write: impl FnOnce(&mut String)) {
        let content = Content::Text(self.hold(write));
        self.push(Field {
            name: Cow::Borrowed(name),
            content,
            origin: Origin::Context,
        });
    }

    /// The texts, and the names of those that aikit itself did not name, with a space behind each;
    /// what was set again stands there too.
    pub(super) fn texts(&self) -> &str {
        &self.0.texts
    }

    /// As [`Self::texts`], without those that aikit itself made, which are plain and hold no secret.
    pub(super) fn given_texts(&self) -> &str {
        &self.0.texts[self.0.made_end..]
    }

    pub(super) fn fields(&self) -> &[Field] {
        &self.0.fields
    }

    /// What one of [`Self::fields`] says.
    pub(super) fn value<'a>(&'a self, field: &'a Field) -> FieldValue<'a> {
        match &field.content {
            Content::Text(place) => FieldValue::Text(&self.0.texts[place.clone()]),
            Content::Int(number) => FieldValue::Int(*number),
            Content::Bool(is) => FieldValue::Bool(*is),
            Content::Data(value) => FieldValue::Data(value),
        }
    }

    /// Whether a field has data in it, or a name that comes from data.
    pub(super) fn is_looked_into(field: &Field) -> bool {
        matches!(field.name, Cow::Owned(_))
            || matches!(field.content, Content::Data(Value::List(_) | Value::Map(_)))
    }

    #[inline]
    fn put(&mut self, field: Field) {
        if field.origin == Origin::Other {
            self.replace(field);
        } else {
            // Aikit's source code gives a record each name once.
            self.push(field);
        }
    }

    fn replace(&mut self, field: Field) {
        match self.0.fields.iter_mut().find(|it| it.name == field.name) {
            Some(known) => *known = field,
            None => self.push(field),
        }
    }

    fn push(&mut self, field: Field) {
        self.0.lengths |= length(&field.name);
        self.0.fields.push(field);
    }
}

/// The bit of the length of a name; all long ones have the last.
fn length(name: &str) -> u64 {
    1 << name.len().min(63)
}

impl FieldValue<'_> {
    /// The same as data.
    pub fn to_value(self) -> Value {
        match self {
            Self::Text(text) => Value::from(text),
            Self::Int(number) => Value::Int(number),
            Self::Bool(is) => Value::Bool(is),
            Self::Data(value) => value.clone(),
        }
    }
}

// By hand: among the texts may stand what was set again, and is in no record.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl From<Map> for Fields {
    fn from(map: Map) -> Self {
        let mut fields = Self::new();
        for (name, value) in map {
            fields.set(name, value);
        }
        fields
    }
}

/// What a record says: whose it is, its message, its own fields.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) fields: Fields,
    target: Range<usize>,
    message: Range<usize>,
}

impl Draft {
    /// One that says nothing yet. `is_made` says that the name of its target stands in the source
    /// code of aikit.
    pub(super) fn new(is_made: bool, write_target: impl FnOnce(&mut String)) -> Self {
        let mut fields = Fields::default();
        let target = fields.hold(write_target);
        if is_made {
            fields.0.made_end = fields.0.texts.len();
        }
        Self {
            fields,
            target,
            message: 0..0,
        }
    }

    pub(super) fn set_message(&mut self, write: impl FnOnce(&mut String)) {
        self.message = self.fields.hold(write);
    }

    pub(super) fn target(&self) -> &str {
        &self.fields.0.texts[self.target.clone()]
    }

    pub(super) fn message(&self) -> &str {
        &self.fields.0.texts[self.message.clone()]
    }

    /// Whether the name of its target stands in the source code of aikit.
    pub(super) fn is_made(&self) -> bool {
        self.target.start < self.fields.0.made_end
    }
}

/// Takes fields out of a Context.
pub type ContextFields = Arc<dyn Fn(&Context) -> Fields + Send + Sync>;

/// The names of the fields of a Context, which tell whose a record is: none has them of its own.
pub const CONTEXT_FIELDS: [&str; 9] = [
    "request_id",
    "trace_id",
    "span_id",
    "procedure",
    "procedure_id",
    "user_id",
    "tenant_id",
    "session_id",
    "message_id",
];

/// The name under which a record has a field of its own: those of [`CONTEXT_FIELDS`] get a longer
/// one, whether the Context has such a field or not.
pub(super) fn own_name(name: Cow<'static, str>) -> Cow<'static, str> {
    if CONTEXT_FIELDS.contains(&&*name) {
        Cow::Owned(format!("aikit_{name}"))
    } else {
        name
    }
}

/// `request_id`, `trace_id`, `span_id`, `procedure`, `procedure_id`, `user_id`, `tenant_id`,
/// `session_id` and `message_id`, as far as they are known.
pub fn default_context_fields() -> ContextFields {
    Arc::new(|cx| {
        let mut fields = Fields::new();
        fields.add_identity("request_id", cx.request_id());
        fields.add_identity("trace_id", cx.trace_id());
        if let Some(span) = cx.span() {
            // Writing to a text cannot fail.
            fields.add("span_id", |it| {
                let _ = write!(it, "{}", span.span_id());
            });
        }
        if let Some(node) = cx.node() {
            fields.add("procedure", |it| {
                let start = it.len();
                it.push_str(&node.name);
                quote::cut_from(it, start);
            });
            fields.add("procedure_id", |it| {
                it.push('p');
                write_digits(it, node.pid.number());
            });
        }
        let principal = cx.principal();
        if !principal.id.is_empty() {
            fields.add("user_id", |it| it.push_str(&principal.id));
        }
        if let Some(tenant) = &principal.tenant_id {
            fields.add("tenant_id", |it| it.push_str(tenant));
        }
        for name in HOST_METADATA {
            if let Some(value) = cx.metadata().get(name) {
                fields.set_as(Cow::Borrowed(name), value.clone(), Origin::Context);
            }
        }
        fields
    })
}

/// Metadata of the Context under these names, as far as it has them.
pub fn metadata_fields(names: Vec<String>) -> ContextFields {
    Arc::new(move |cx| {
        let mut fields = Fields::new();
        for name in &names {
            if let Some(value) = cx.metadata().get(name) {
                fields.set(name.clone(), value.clone());
            }
        }
        fields
    })
}

/// Whether all are hexadecimal digits. Without a branch for each byte, so that one instruction does
/// many.
fn is_made(id: &[u8; 32]) -> bool {
    let digit = |it: u8| it.wrapping_sub(b'0') < 10;
    let letter = |it: u8| it.wrapping_sub(b'a') < 6;
    id.iter()
        .fold(true, |are, it| are & (digit(*it) | letter(*it)))
}

/// One for several, in order: of two fields with the same name the later wins.
pub fn compose_context_fields(all: Vec<ContextFields>) -> ContextFields {
    Arc::new(move |cx| {
        let mut fields = Fields::new();
        for extract in &all {
            fields.merge(extract(cx));
        }
        fields
    })
}
