//! The fields of a record, and which of them a Context gives it.

use std::{borrow::Cow, mem, sync::Arc};

use crate::{Value, context::Context, quote, value::Map};

/// How many fields a record has room for without asking for more memory: those of a Context.
const USUAL: usize = 9;

/// The fields of one record, in order, each name once. There are a dozen at most, most of whose
/// names are known beforehand: looking through them is quicker than hashing is.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<Field>);

/// One field.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: Cow<'static, str>,
    pub(super) value: Value,
    /// Whether aikit itself gave the name, which tells of no secret then.
    pub(super) is_ours: bool,
}

impl Fields {
    /// None yet, with room for those of a Context.
    pub fn new() -> Self {
        Self(Vec::with_capacity(USUAL))
    }

    /// Sets a field; of two with the same name the later wins.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: Value) {
        self.put(Field {
            name: name.into(),
            value,
            is_ours: false,
        });
    }

    /// Sets all of another; of two with the same name the other's wins.
    pub fn merge(&mut self, other: Self) {
        for field in other.0 {
            self.put(field);
        }
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let mut fields = self.0.iter();
        fields.find(|it| it.name == name).map(|it| &it.value)
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|it| (&*it.name, &it.value))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Field> {
        self.0.iter_mut()
    }

    /// Adds a field of aikit's own, which none has yet.
    fn add_ours(&mut self, name: &'static str, value: Value) {
        self.0.push(Field {
            name: Cow::Borrowed(name),
            value,
            is_ours: true,
        });
    }

    fn put(&mut self, field: Field) {
        match self.0.iter_mut().find(|it| it.name == field.name) {
            Some(known) => *known = field,
            None => self.0.push(field),
        }
    }

    /// Has each name once again after names were changed.
    pub(super) fn unite(&mut self) {
        let all = mem::take(self);
        self.merge(all);
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl From<Map> for Fields {
    fn from(map: Map) -> Self {
        let fields = map.into_iter();
        let field = |(name, value)| Field {
            name: Cow::Owned(name),
            value,
            is_ours: false,
        };
        Self(fields.map(field).collect())
    }
}

/// Takes fields out of a Context.
pub type ContextFields = Arc<dyn Fn(&Context) -> Fields + Send + Sync>;

/// Metadata that a host sets and every record carries.
const METADATA: [&str; 2] = ["session_id", "message_id"];

/// `request_id`, `trace_id`, `span_id`, `procedure`, `procedure_id`, `user_id`, `tenant_id`,
/// `session_id` and `message_id`, as far as they are known.
pub fn default_context_fields() -> ContextFields {
    Arc::new(|cx| {
        let mut fields = Fields::new();
        let mut add = |name, value| fields.add_ours(name, value);
        add("request_id", Value::from(cx.request_id()));
        add("trace_id", Value::from(cx.trace_id()));
        if let Some(span) = cx.span() {
            add("span_id", Value::from(span.span_id().to_string()));
        }
        if let Some(node) = cx.node() {
            add("procedure", Value::from(&*quote::cut(&node.name)));
            add("procedure_id", Value::from(node.pid.to_string()));
        }
        let principal = cx.principal();
        if !principal.id.is_empty() {
            add("user_id", Value::from(principal.id.as_str()));
        }
        if let Some(tenant) = &principal.tenant_id {
            add("tenant_id", Value::from(tenant.as_str()));
        }
        for name in METADATA {
            if let Some(value) = cx.metadata().get(name) {
                add(name, value.clone());
            }
        }
        fields
    })
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
