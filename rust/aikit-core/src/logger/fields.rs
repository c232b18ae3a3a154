//! Which fields a Context gives its records.

use std::sync::Arc;

use crate::{Value, context::Context, value::Map};

/// Takes fields out of a Context.
pub type ContextFields = Arc<dyn Fn(&Context) -> Map + Send + Sync>;

/// Metadata that a host sets and every record carries.
const METADATA: [&str; 2] = ["session_id", "message_id"];

/// `request_id`, `trace_id`, `span_id`, `procedure`, `procedure_id`, `user_id`, `tenant_id`,
/// `session_id` and `message_id`, as far as they are known.
pub fn default_context_fields() -> ContextFields {
    Arc::new(|cx| {
        let mut fields = Map::with_capacity(9);
        let mut add = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
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
        let mut fields = Map::new();
        for extract in &all {
            fields.extend(extract(cx));
        }
        fields
    })
}
