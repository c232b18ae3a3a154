//! The fields of a record, and which of them a Context gives it.

use std::{borrow::Cow, sync::Arc};

use crate::{Value, context::Context, value::Map};

/// How many fields a record has room for without asking for more memory: those of a Context.
const USUAL: usize = 9;

/// The fields of one record, in order, each name once. There are a dozen at most, most of whose
/// names are known beforehand: looking through them is quicker than hashing is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Vec<(Cow<'static, str>, Value)>);

impl Fields {
    /// None yet, with room for those of a Context.
    pub fn new() -> Self {
        Self(Vec::with_capacity(USUAL))
    }

    /// Sets a field; of two with the same name the later wins.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: Value) {
        let name = name.into();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(field) => field.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let mut fields = self.0.iter();
        fields.find(|(known, _)| known == name).map(|it| &it.1)
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Cow<'static, str>, &mut Value)> {
        self.0.iter_mut().map(|(name, value)| (&*name, value))
    }
}

impl From<Map> for Fields {
    fn from(map: Map) -> Self {
        let fields = map.into_iter();
        Self(
            fields
                .map(|(name, value)| (Cow::Owned(name), value))
                .collect(),
        )
    }
}

impl Extend<(Cow<'static, str>, Value)> for Fields {
    fn extend<T: IntoIterator<Item = (Cow<'static, str>, Value)>>(&mut self, fields: T) {
        for (name, value) in fields {
            self.set(name, value);
        }
    }
}

impl IntoIterator for Fields {
    type Item = (Cow<'static, str>, Value);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
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
        let mut add = |name: &'static str, value: Value| fields.0.push((name.into(), value));
        add("request_id", Value::from(cx.request_id()));
        add("trace_id", Value::from(cx.trace_id()));
        if let Some(span) = cx.span() {
            add("span_id", Value::from(span.span_id().to_string()));
        }
        if let Some(node) = cx.node() {
            add("procedure", Value::from(&*node.name));
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
            fields.extend(extract(cx));
        }
        fields
    })
}
