//! State: values that outlive a session, shared by whoever has the scope.

mod hooked;
mod scope;

use std::{borrow::Cow, sync::Arc};

use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    hook::{STATE_READ, STATE_WRITE, around},
    storage::{Batch, Entry, KeyValueStore, Record},
    tracker::{Operation, track},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use self::scope::Scope;
use crate::{
    project::{self, Attempts, Place, Project, escape},
    security::policy::Profile,
};

/// Longest key in bytes.
pub const KEY_BYTES_MAX: usize = 1024;

/// Largest value in bytes, as it is stored.
pub const VALUE_BYTES_MAX: usize = 16 << 20;

/// Deepest nesting of a value.
pub const DEPTH_MAX: usize = 128;

/// Most keys that are listed at once.
pub const KEYS_MAX: usize = 100_000;

/// The values of one scope. A cheap handle; others may write at the same time.
#[derive(Clone, Debug)]
pub struct State {
    store: Arc<dyn KeyValueStore>,
    /// The beginning of the scope's keys, with a slash at its end.
    prefix: String,
    scope: Scope,
}

/// What the record of a key holds.
#[derive(Deserialize, Serialize)]
struct Stored {
    value: Value,
}

impl State {
    /// Opens the values of a scope in the store of the project.
    ///
    /// # Errors
    ///
    /// `denied` for the scope of another user, and without a tenant, where many users share the
    /// process; those of the store.
    pub async fn open(cx: &Context, project: &Project, scope: Scope) -> Result<Self> {
        Self::open_at(cx, project, scope, &Place::Project).await
    }

    /// Opens the values of a scope in any store; a program's own path is not checked.
    ///
    /// # Errors
    ///
    /// As for [`State::open`].
    pub async fn open_at(
        cx: &Context,
        project: &Project,
        scope: Scope,
        place: &Place,
    ) -> Result<Self> {
        let prefix = prefix(cx, project, &scope)?;
        let store = cx.within(project.open(place)).await??;
        Ok(Self {
            store,
            prefix,
            scope,
        })
    }

    /// Opens the values of a scope for a script, whose path stays in the working directory.
    ///
    /// # Errors
    ///
    /// As for [`State::open`], and `denied` for a path that leads elsewhere.
    pub async fn open_inside(
        cx: &Context,
        project: &Project,
        scope: Scope,
        place: &Place,
    ) -> Result<Self> {
        let prefix = prefix(cx, project, &scope)?;
        let store = cx.within(project.open_inside(place)).await??;
        Ok(Self {
            store,
            prefix,
            scope,
        })
    }

    /// Who shares it.
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Where it is kept.
    pub(crate) fn store(&self) -> &Arc<dyn KeyValueStore> {
        &self.store
    }

    /// The beginning of its keys in the store.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The value of `key`; `None` when there is none.
    ///
    /// # Errors
    ///
    /// `invalid_args` for what is no key, `corrupt_record` for a damaged record.
    pub async fn get(&self, cx: &Context, key: &str) -> Result<Option<Value>> {
        let full = self.full(key)?;
        track(cx, Operation::new("state get"), |cx| async move {
            let mut call = hooked::Read {
                state: self,
                operation: "get",
                wanted: ("key", key),
                work: || async {
                    let found = self.store.get(&full).await?;
                    found.map(|record| read(key, &record)).transpose()
                },
                show: |found: &Option<Value>| Value::from(found.clone()),
                parse: |value| Ok(Some(value).filter(|it| !it.is_null())),
            };
            around(&cx, &STATE_READ, &mut call, ()).await
        })
        .await
    }

    /// Writes the value of `key`; when this returns, it is kept whatever happens.
    ///
    /// # Errors
    ///
    /// `invalid_args` for what is no key or nested too deeply, `limit_exceeded` for a value that is
    /// too large, those of the store.
    pub async fn set(&self, cx: &Context, key: &str, value: &Value) -> Result<()> {
        let full = self.full(key)?;
        track(cx, Operation::new("state set"), |cx| async move {
            let put = |value: Option<Cow<'_, Value>>| {
                let written = write(key, &value.unwrap_or_default());
                let full = full.clone();
                async move {
                    let batch = Batch {
                        puts: vec![(full, written?)],
                        ..Batch::default()
                    };
                    self.store.apply(batch).await.map(drop)
                }
            };
            let mut call = self.written("set", key, put, |()| Value::Null);
            around(&cx, &STATE_WRITE, &mut call, Some(Cow::Borrowed(value))).await
        })
        .await
    }

    /// Deletes `key`; answers whether it was there.
    ///
    /// # Errors
    ///
    /// As for [`State::get`].
    pub async fn delete(&self, cx: &Context, key: &str) -> Result<bool> {
        let full = self.full(key)?;
        track(cx, Operation::new("state delete"), |cx| async move {
            let remove = |_: Option<Cow<'_, Value>>| self.remove(&cx, &full);
            let mut call = self.written("delete", key, remove, |it| Value::from(*it));
            around(&cx, &STATE_WRITE, &mut call, None).await
        })
        .await
    }

    async fn remove(&self, cx: &Context, full: &str) -> Result<bool> {
        let mut attempts = Attempts::new(cx);
        loop {
            // A damaged record can be deleted too, so its value is not read.
            let entries = self.store.scan(full, None, 1).await?;
            let Some(entry) = entries.into_iter().find(|entry| entry.key == full) else {
                return Ok(false);
            };
            let expect = entry
                .record
                .ok()
                .map(|it| (full.to_owned(), Some(it.revision)));
            let batch = Batch {
                expect: expect.into_iter().collect(),
                deletes: vec![full.to_owned()],
                ..Batch::default()
            };
            match self.store.apply(batch).await {
                Ok(_) => return Ok(true),
                Err(error) => attempts.again(error).await?,
            }
        }
    }

    /// The keys that begin with `prefix`, in the order of their bytes.
    ///
    /// # Errors
    ///
    /// `limit_exceeded` when there are more than [`KEYS_MAX`], those of the store.
    pub async fn keys(&self, cx: &Context, prefix: &str) -> Result<Vec<String>> {
        let full = format!("{}{prefix}", self.prefix);
        track(cx, Operation::new("state keys"), |cx| async move {
            let mut call = hooked::Read {
                state: self,
                operation: "keys",
                wanted: ("prefix", prefix),
                work: || self.collect(&full),
                show: |keys: &Vec<String>| keys.iter().map(|it| Value::from(it.as_str())).collect(),
                parse: |value| match value {
                    Value::Null => Ok(Vec::new()),
                    value => value.deserialize(),
                },
            };
            around(&cx, &STATE_READ, &mut call, ()).await
        })
        .await
    }

    async fn collect(&self, full: &str) -> Result<Vec<String>> {
        let own = |entry: Entry| {
            let key = entry.key.strip_prefix(&self.prefix);
            key.unwrap_or_default().to_owned()
        };
        let keys = project::collect(&*self.store, full, KEYS_MAX + 1, own).await?;
        if keys.len() > KEYS_MAX {
            let message = format!("the scope `{}` has more than {KEYS_MAX} keys", self.scope);
            return Err(Error::new(ErrorKind::LimitExceeded, message)
                .with_hint("list a part of them with a longer prefix"));
        }
        Ok(keys)
    }

    /// Writes `new` when the value of `key` is `expected`; answers whether it did. Null stands for
    /// a key that is absent, too. Numbers are compared by their worth (1 is 1.0), and an empty list
    /// is an empty map: not every language tells them apart.
    ///
    /// # Errors
    ///
    /// As for [`State::set`].
    pub async fn compare_and_set(
        &self,
        cx: &Context,
        key: &str,
        expected: &Value,
        new: &Value,
    ) -> Result<bool> {
        let full = self.full(key)?;
        track(
            cx,
            Operation::new("state compare_and_set"),
            |cx| async move {
                let swap = |new: Option<Cow<'_, Value>>| {
                    let written = write(key, &new.unwrap_or_default());
                    let (full, cx) = (&full, &cx);
                    async move { self.swap(cx, (key, full), expected, written?).await }
                };
                let mut call = self.written("compare_and_set", key, swap, |it| Value::from(*it));
                around(&cx, &STATE_WRITE, &mut call, Some(Cow::Borrowed(new))).await
            },
        )
        .await
    }

    async fn swap(
        &self,
        cx: &Context,
        (key, full): (&str, &str),
        expected: &Value,
        written: Bytes,
    ) -> Result<bool> {
        let mut attempts = Attempts::new(cx);
        loop {
            let record = self.store.get(full).await?;
            let found = record.as_ref().map(|it| read(key, it)).transpose()?;
            if !is_same(&found.unwrap_or_default(), expected) {
                return Ok(false);
            }
            let batch = replace(full, record.as_ref(), written.clone());
            match self.store.apply(batch).await {
                Ok(_) => return Ok(true),
                // It changed in between, perhaps back to what is expected.
                Err(error) => attempts.again(error).await?,
            }
        }
    }

    /// Changes the value of `key` by a function, so that no change of others is lost: when somebody
    /// wrote it meanwhile, the function is called again with what they wrote. Answers the new value.
    ///
    /// # Errors
    ///
    /// The function's own, `conflict` when others are in the way all the time, and as for
    /// [`State::set`].
    pub async fn update<F, C>(&self, cx: &Context, key: &str, change: C) -> Result<Value>
    where
        F: Future<Output = Result<Value>> + Send,
        C: Fn(Option<Value>) -> F + Send + Sync,
    {
        let full = self.full(key)?;
        track(cx, Operation::new("state update"), |cx| async move {
            let update = |_: Option<Cow<'_, Value>>| self.changed(&cx, (key, &full), &change);
            let mut call = self.written("update", key, update, Value::clone);
            around(&cx, &STATE_WRITE, &mut call, None).await
        })
        .await
    }

    async fn changed<F, C>(
        &self,
        cx: &Context,
        (key, full): (&str, &str),
        change: &C,
    ) -> Result<Value>
    where
        F: Future<Output = Result<Value>> + Send,
        C: Fn(Option<Value>) -> F + Send + Sync,
    {
        let mut attempts = Attempts::new(cx);
        loop {
            let record = self.store.get(full).await?;
            let found = record.as_ref().map(|it| read(key, it)).transpose()?;
            let new = change(found).await?;
            let batch = replace(full, record.as_ref(), write(key, &new)?);
            match self.store.apply(batch).await {
                Ok(_) => return Ok(new),
                Err(error) => attempts.again(error).await?,
            }
        }
    }

    /// A write with hooks around it.
    fn written<'a, W, T>(
        &'a self,
        operation: &'static str,
        key: &'a str,
        work: W,
        show: fn(&T) -> Value,
    ) -> hooked::Write<'a, W, T> {
        hooked::Write {
            state: self,
            operation,
            key,
            work,
            show,
        }
    }

    fn full(&self, key: &str) -> Result<String> {
        project::check_name("the key", key, KEY_BYTES_MAX)?;
        Ok(format!("{}{key}", self.prefix))
    }
}

/// The beginning of the keys of a scope.
pub(crate) fn prefix(cx: &Context, project: &Project, scope: &Scope) -> Result<String> {
    if let (Scope::User(id), Profile::Served) = (scope, project.profile())
        && *id != cx.principal().id
    {
        let message = format!("the scope `{scope}` belongs to another user");
        return Err(Error::new(ErrorKind::Denied, message)
            .with_hint("use the scope of the session's own user"));
    }
    let space = project.space(cx)?.prefix("state");
    Ok(format!("{space}{}/", escape(&scope.to_string())))
}

fn read(key: &str, record: &Record) -> Result<Value> {
    let stored: Stored = project::decode(&format!("the value of `{key}`"), &record.value)?;
    Ok(stored.value)
}

fn write(key: &str, value: &Value) -> Result<Bytes> {
    if depth_exceeds(value, DEPTH_MAX) {
        let message = format!("the value of `{key}` is nested deeper than {DEPTH_MAX} levels");
        return Err(Error::invalid_args(message).with_hint("flatten it, or store it in parts"));
    }
    let stored = Stored {
        value: value.clone(),
    };
    project::encode(&format!("the value of `{key}`"), &stored, VALUE_BYTES_MAX)
}

/// Whether two values are the same to every language that reads them.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Int(_), Value::Float(_)) | (Value::Float(_), Value::Int(_)) => {
            a.as_i64().is_some() && a.as_i64() == b.as_i64()
        }
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Map(a), Value::Map(b)) => {
            let is_in = |(key, a): (&String, &Value)| b.get(key).is_some_and(|b| is_same(a, b));
            a.len() == b.len() && a.iter().all(is_in)
        }
        (Value::List(list), Value::Map(map)) | (Value::Map(map), Value::List(list)) => {
            list.is_empty() && map.is_empty()
        }
        _ => a == b,
    }
}

fn depth_exceeds(value: &Value, most: usize) -> bool {
    let exceeds = |value: &Value| most == 0 || depth_exceeds(value, most - 1);
    match value {
        Value::List(items) => items.iter().any(exceeds),
        Value::Map(map) => map.values().any(exceeds),
        _ => false,
    }
}

/// A write that happens only when the key is as it was read.
fn replace(full: &str, record: Option<&Record>, written: Bytes) -> Batch {
    Batch {
        expect: vec![(full.to_owned(), record.map(|it| it.revision))],
        puts: vec![(full.to_owned(), written)],
        ..Batch::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_as_every_language_sees_them() {
        let list = |items: &[Value]| Value::List(items.to_vec());
        let map = |value: Value| Value::map([("a", value)]);
        let empty = Value::Map(aikit_core::value::Map::new());
        for (a, b) in [
            (Value::Int(1), Value::Float(1.0)),
            (list(&[Value::Float(2.0)]), list(&[Value::Int(2)])),
            (map(Value::Int(3)), map(Value::Float(3.0))),
            (list(&[]), empty.clone()),
            (map(list(&[])), map(empty.clone())),
        ] {
            assert!(is_same(&a, &b) && is_same(&b, &a), "{a} {b}");
        }
        for (a, b) in [
            (Value::Int(1), Value::Float(1.5)),
            (
                Value::Int(i64::MAX),
                Value::Float(9_223_372_036_854_775_808.0),
            ),
            (Value::Int(1), Value::from("1")),
            (Value::Int(1), Value::Bool(true)),
            (
                list(&[Value::Int(1)]),
                list(&[Value::Int(1), Value::Int(1)]),
            ),
            (list(&[Value::Int(1)]), map(Value::Int(1))),
            (Value::Null, empty),
            (Value::from("a"), Value::Bytes("a".into())),
        ] {
            assert!(!is_same(&a, &b) && !is_same(&b, &a), "{a} {b}");
        }
    }

    #[test]
    fn scopes_are_written_and_read() {
        for text in ["global", "user:ada", "session:1", "custom:a:b/c", "tool:x"] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        for text in ["", "globe", "session", "session:", "custom: ", "user:a\nb"] {
            let error = text.parse::<Scope>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgs, "{text}");
            assert!(error.hint().is_some());
        }
        let long = format!("custom:{}", "x".repeat(scope::ID_BYTES_MAX + 1));
        assert!(long.parse::<Scope>().is_err());
    }
}
