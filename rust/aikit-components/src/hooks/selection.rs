//! Which calls a built-in hook is for: kinds of call, and names of tools, models or agents.

use aikit_core::{
    Error, Result, Value,
    hook::{Points, SUBJECTS, Subject},
};

use crate::nearest;

/// Names of which one selection may consist.
const NAMES_MAX: usize = 1_000;

/// Which calls a hook is for.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    pub(super) subjects: Vec<&'static Subject>,
    /// All when it is empty.
    pub(super) names: Vec<String>,
}

/// A call as a hook sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Called<'a> {
    pub(super) subject: &'static Subject,
    /// Name of the tool, the model, the agent, the index, the scope.
    pub(super) name: &'a str,
    pub(super) data: &'a Value,
}

impl Selection {
    /// Reads the options `on` and `names`.
    ///
    /// # Errors
    ///
    /// `invalid_args` for what is no list of texts, and for an unknown kind of call.
    pub(super) fn read(on: Value, names: Value, standard: &[&str]) -> Result<Self> {
        let on = texts("on", on)?;
        let on: Vec<&str> = if on.is_empty() {
            standard.to_vec()
        } else {
            on.iter().map(String::as_str).collect()
        };
        let names = texts("names", names)?;
        let has_star = |it: &&String| it.trim_end_matches('*').contains('*') || it.ends_with("**");
        if let Some(name) = names.iter().find(has_star) {
            let message = format!("`names` has `{name}`, which fits no name");
            return Err(Error::invalid_args(message)
                .with_hint("one `*` at the end stands for anything, such as `read_*`"));
        }
        Ok(Self {
            subjects: on.into_iter().map(subject).collect::<Result<_>>()?,
            names,
        })
    }

    /// The points of one moment of all its kinds of call.
    pub(super) fn points(&self, of: fn(&Subject) -> aikit_core::hook::HookPoint) -> Points {
        self.subjects.iter().map(|it| of(it)).collect()
    }

    /// The call that `data` is about, when it is one of these.
    pub(super) fn called<'a>(&self, data: &'a Value) -> Option<Called<'a>> {
        let text = |field: &str| data.get(field).and_then(Value::as_str);
        let point = text("point")?;
        let (subject, _) = point.rsplit_once('.')?;
        let subject = self.subjects.iter().find(|it| it.name == subject)?;
        let field = match subject.name {
            "tool" => "tool",
            "model" => "model",
            "agent" | "agent.step" => "agent",
            "rag.ingest" | "rag.retrieve" => "index",
            "state.read" | "state.write" => "scope",
            "cell" => "name",
            _ => "session",
        };
        let name = text(field).unwrap_or_default();
        let called = Called {
            subject,
            name,
            data,
        };
        (self.names.is_empty() || self.names_it(name)).then_some(called)
    }

    /// Whether the list of names has it.
    pub(super) fn names_it(&self, name: &str) -> bool {
        self.names.iter().any(|known| {
            known
                .strip_suffix('*')
                .map_or(known == name, |start| name.starts_with(start))
        })
    }
}

impl<'a> Called<'a> {
    /// A text of the data.
    pub(super) fn text(&self, field: &str) -> &'a str {
        self.data
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// A number of the data.
    pub(super) fn number(&self, field: &str) -> f64 {
        self.data
            .get(field)
            .and_then(Value::as_f64)
            .unwrap_or_default()
    }

    /// The permissions that a tool needs.
    pub(super) fn permissions(&self) -> impl Iterator<Item = &'a str> {
        let listed = self.data.get("permissions").and_then(Value::as_list);
        listed.unwrap_or_default().iter().filter_map(Value::as_str)
    }

    /// Whether this is the point of that name, such as `before`.
    pub(super) fn is(&self, moment: &str) -> bool {
        self.text("point").ends_with(moment)
    }
}

fn subject(name: &str) -> Result<&'static Subject> {
    SUBJECTS
        .iter()
        .copied()
        .find(|it| it.name == name)
        .ok_or_else(|| {
            let names = SUBJECTS.iter().map(|it| it.name);
            let all: Vec<&str> = names.clone().collect();
            let otherwise = format!("use some of `{}`", all.join("`, `"));
            Error::invalid_args(format!("`on` names `{name}`, which is no kind of call"))
                .with_hint(nearest::hint(name, names, otherwise))
        })
}

fn texts(option: &str, value: Value) -> Result<Vec<String>> {
    let texts = match value {
        Value::Null => Vec::new(),
        Value::String(text) => vec![text],
        // Scripts write an empty list like an empty table.
        Value::Map(map) if map.is_empty() => Vec::new(),
        value => value.deserialize::<Vec<String>>().map_err(|_| {
            Error::invalid_args(format!("`{option}` is no list of texts"))
                .with_hint("give a text or a list of texts")
        })?,
    };
    if texts.len() > NAMES_MAX {
        let message = format!("`{option}` has {} entries", texts.len());
        return Err(Error::invalid_args(message).with_hint(format!("give at most {NAMES_MAX}")));
    }
    Ok(texts)
}
