//! Reads and writes of the state as hooks see them.

use std::borrow::Cow;

use aikit_core::{Error, Result, Value, hook::Hooked, value::Map};

use super::State;

/// A read of one value, or of the keys, with hooks around it.
pub(super) struct Read<'a, W, T> {
    pub(super) state: &'a State,
    pub(super) operation: &'static str,
    /// The key, or the beginning of the keys.
    pub(super) wanted: (&'static str, &'a str),
    pub(super) work: W,
    pub(super) show: fn(&T) -> Value,
    pub(super) parse: fn(Value) -> Result<T>,
}

impl<W, F, T> Hooked for Read<'_, W, T>
where
    W: FnMut() -> F + Send,
    F: Future<Output = Result<T>> + Send,
    T: Send + Sync,
{
    type Input = ();
    type Output = T;

    fn show(&self, (): &()) -> Result<Map> {
        let (field, wanted) = self.wanted;
        let mut shown = shown(self.state, self.operation);
        shown.insert(field.to_owned(), Value::from(wanted));
        Ok(shown)
    }

    async fn call(&mut self, (): ()) -> Result<T> {
        (self.work)().await
    }

    fn result(&self, output: &T) -> Result<Value> {
        Ok((self.show)(output))
    }

    fn replace(&self, (): &(), value: Value, _: Option<&T>) -> Result<T> {
        (self.parse)(value)
    }
}

/// A write with hooks around it.
pub(super) struct Write<'a, W, T> {
    pub(super) state: &'a State,
    pub(super) operation: &'static str,
    pub(super) key: &'a str,
    pub(super) work: W,
    pub(super) show: fn(&T) -> Value,
}

impl<'a, W, F, T> Hooked for Write<'a, W, T>
where
    W: FnMut(Option<Cow<'a, Value>>) -> F + Send,
    F: Future<Output = Result<T>> + Send,
    T: Send + Sync,
{
    /// The value that is written, where it is known before.
    type Input = Option<Cow<'a, Value>>;
    type Output = T;

    fn show(&self, value: &Self::Input) -> Result<Map> {
        let mut shown = shown(self.state, self.operation);
        shown.insert("key".to_owned(), Value::from(self.key));
        if let Some(value) = value {
            shown.insert("value".to_owned(), Value::clone(value));
        }
        Ok(shown)
    }

    fn change(&self, input: &mut Self::Input, mut changes: Map) -> Result<()> {
        let Some(value) = changes.shift_remove("value") else {
            return Ok(());
        };
        if input.is_none() {
            let message = format!("`{}` has no value that could be changed", self.operation);
            return Err(Error::invalid_args(message)
                .with_hint("`set` and `compare_and_set` have one; look at `operation`"));
        }
        *input = Some(Cow::Owned(value));
        Ok(())
    }

    async fn call(&mut self, value: Self::Input) -> Result<T> {
        (self.work)(value).await
    }

    fn result(&self, output: &T) -> Result<Value> {
        Ok((self.show)(output))
    }

    fn replace(&self, _: &Self::Input, _: Value, _: Option<&T>) -> Result<T> {
        Err(Error::invalid_args("what a write did cannot be replaced")
            .with_hint("stop it, or change the value before"))
    }
}

fn shown(state: &State, operation: &str) -> Map {
    Map::from_iter([
        ("scope".to_owned(), Value::from(state.scope.to_string())),
        ("operation".to_owned(), Value::from(operation)),
    ])
}
