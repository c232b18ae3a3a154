//! Counters of one Context; tokens and requests are counters with fixed names.

use std::sync::{Mutex, PoisonError};

use indexmap::IndexMap;

use crate::value::{Map, Value};

/// Named sums. Reading an unknown name gives 0.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<IndexMap<String, f64>>);

impl Metrics {
    /// Adds `amount` to the metric `name`.
    pub fn add(&self, name: &str, amount: f64) {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match values.get_mut(name) {
            Some(value) => *value += amount,
            None => drop(values.insert(name.to_owned(), amount)),
        }
    }

    /// Replaces the metric `name`.
    pub fn set(&self, name: &str, value: f64) {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        values.insert(name.to_owned(), value);
    }

    /// The metric `name`, 0 when nothing was added to it.
    pub fn get(&self, name: &str) -> f64 {
        let values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        values.get(name).copied().unwrap_or(0.0)
    }

    /// Adds every metric of `other` to this one's.
    pub fn merge(&self, other: &Self) {
        if std::ptr::eq(self, other) {
            return;
        }
        let other = other
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for (name, amount) in other {
            self.add(&name, amount);
        }
    }

    /// All metrics, in the order of their first use.
    pub fn to_value(&self) -> Value {
        let values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Value::Map(
            values
                .iter()
                .map(|(name, value)| (name.clone(), Value::Float(*value)))
                .collect::<Map>(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_metric_reads_zero_and_sums_merge() {
        let (parent, child) = (Metrics::default(), Metrics::default());
        child.add("usage.input_tokens", 3.0);
        child.add("usage.input_tokens", 4.0);
        parent.set("usage.input_tokens", 1.0);
        parent.merge(&child);
        parent.merge(&parent);
        assert_eq!(
            (parent.get("usage.input_tokens"), parent.get("none")),
            (8.0, 0.0)
        );
    }
}
