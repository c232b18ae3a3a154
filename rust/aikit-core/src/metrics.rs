//! Counters of one Context; tokens, requests and money are counters with fixed names.

use std::sync::{Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;

use crate::value::{Map, Value};

/// Most levels that the dots of a name make; what follows is one name.
const LEVELS_MAX: usize = 16;

/// Sums by name, in the order of their first use.
pub type Sums = IndexMap<String, f64>;

/// Named sums. Reading an unknown name gives 0.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Sums>);

/// What calls of models used, read from the metrics `usage.*`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UsageSums {
    /// `usage.input_tokens`: tokens sent.
    pub input_tokens: f64,
    /// `usage.output_tokens`: tokens received.
    pub output_tokens: f64,
    /// `usage.requests`: calls of models.
    pub requests: f64,
    /// `usage.cost_usd`: money, in US dollars, where the price is known.
    pub cost_usd: f64,
}

impl Metrics {
    /// Adds `amount` to the metric `name`.
    pub fn add(&self, name: &str, amount: f64) {
        add_to(&mut self.sums(), name, amount);
    }

    /// Replaces the metric `name`.
    pub fn set(&self, name: &str, value: f64) {
        self.sums().insert(name.to_owned(), value);
    }

    /// The metric `name`, 0 when nothing was added to it.
    pub fn get(&self, name: &str) -> f64 {
        self.sums().get(name).copied().unwrap_or(0.0)
    }

    /// Adds every metric of `other` to this one's.
    pub fn merge(&self, other: &Self) {
        if std::ptr::eq(self, other) {
            return;
        }
        let other = other.sums().clone();
        let mut sums = self.sums();
        for (name, amount) in other {
            add_to(&mut sums, &name, amount);
        }
    }

    /// Adds to `other` what has come since the last time; `told` is what it has already.
    pub(crate) fn tell(&self, other: &Self, told: &mut Sums) {
        let sums = self.sums();
        if sums.is_empty() {
            return;
        }
        let sums = sums.clone();
        let mut others = other.sums();
        for (name, sum) in &sums {
            let difference = sum - told.get(name).copied().unwrap_or(0.0);
            if difference != 0.0 {
                add_to(&mut others, name, difference);
            }
        }
        *told = sums;
    }

    /// Adds what a call of a model used.
    pub fn add_usage(&self, usage: &UsageSums) {
        let mut sums = self.sums();
        for (name, amount) in [
            ("usage.requests", usage.requests),
            ("usage.input_tokens", usage.input_tokens),
            ("usage.output_tokens", usage.output_tokens),
            ("usage.cost_usd", usage.cost_usd),
        ] {
            if amount != 0.0 {
                add_to(&mut sums, name, amount);
            }
        }
    }

    /// What calls of models used.
    pub fn usage(&self) -> UsageSums {
        UsageSums {
            input_tokens: self.get("usage.input_tokens"),
            output_tokens: self.get("usage.output_tokens"),
            requests: self.get("usage.requests"),
            cost_usd: self.get("usage.cost_usd"),
        }
    }

    /// All metrics by their whole names, in the order of their first use.
    pub fn to_value(&self) -> Value {
        let sums = self.sums();
        let pairs = sums.iter();
        Value::Map(
            pairs
                .map(|(name, sum)| (name.clone(), Value::Float(*sum)))
                .collect(),
        )
    }

    /// All metrics as maps in maps: `usage.input_tokens` is `input_tokens` in `usage`. Where a
    /// name is also the beginning of another, its own sum stands under the empty name.
    pub fn to_nested(&self) -> Value {
        let mut root = Map::new();
        for (name, sum) in &*self.sums() {
            insert(&mut root, name, *sum, LEVELS_MAX);
        }
        Value::Map(root)
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UsageSums {
    /// As data, with the names of the fields.
    pub fn to_value(self) -> Value {
        Value::map([
            ("input_tokens", Value::Float(self.input_tokens)),
            ("output_tokens", Value::Float(self.output_tokens)),
            ("requests", Value::Float(self.requests)),
            ("cost_usd", Value::Float(self.cost_usd)),
        ])
    }
}

fn add_to(sums: &mut Sums, name: &str, amount: f64) {
    match sums.get_mut(name) {
        Some(sum) => *sum += amount,
        None => drop(sums.insert(name.to_owned(), amount)),
    }
}

fn insert(map: &mut Map, name: &str, sum: f64, levels: usize) {
    let Some((first, rest)) = name.split_once('.').filter(|_| levels > 1) else {
        match map.get_mut(name) {
            Some(Value::Map(inner)) => drop(inner.insert(String::new(), Value::Float(sum))),
            _ => drop(map.insert(name.to_owned(), Value::Float(sum))),
        }
        return;
    };
    let entry = map
        .entry(first.to_owned())
        .or_insert_with(|| Value::Map(Map::new()));
    if !matches!(entry, Value::Map(_)) {
        let own = std::mem::take(entry);
        *entry = Value::map([("", own)]);
    }
    if let Value::Map(inner) = entry {
        insert(inner, rest, sum, levels - 1);
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

    #[test]
    fn usage_is_read_back_as_it_was_added() {
        let metrics = Metrics::default();
        let usage = UsageSums {
            input_tokens: 100.0,
            output_tokens: 50.0,
            requests: 1.0,
            cost_usd: 0.25,
        };
        metrics.add_usage(&usage);
        metrics.add_usage(&UsageSums::default());
        assert_eq!(metrics.usage(), usage);
        let usage = metrics.to_nested();
        let usage = usage.get("usage").unwrap();
        assert_eq!(usage.get("input_tokens"), Some(&Value::Float(100.0)));
    }

    #[test]
    fn dotted_names_nest_in_every_order() {
        let metrics = Metrics::default();
        for name in ["a.b.c", "a.b", "a", "a.d", "e"] {
            metrics.add(name, 1.0);
        }
        let one = || Value::Float(1.0);
        let b = Value::map([("c", one()), ("", one())]);
        let a = Value::map([("b", b), ("", one()), ("d", one())]);
        assert_eq!(metrics.to_nested(), Value::map([("a", a), ("e", one())]));
        let metrics = Metrics::default();
        metrics.add("a", 1.0);
        metrics.add("a.b", 1.0);
        let a = Value::map([("", one()), ("b", one())]);
        assert_eq!(metrics.to_nested(), Value::map([("a", a)]));
    }

    #[test]
    fn a_name_of_very_many_parts_nests_no_deeper_than_the_limit() {
        let metrics = Metrics::default();
        metrics.add(&format!("{}end", "a.".repeat(300_000)), 1.0);
        let mut value = metrics.to_nested();
        let mut levels = 0;
        while let Value::Map(map) = value {
            value = map.into_values().next().unwrap();
            levels += 1;
        }
        assert_eq!((levels, value), (LEVELS_MAX, Value::Float(1.0)));
    }

    #[test]
    fn what_was_told_is_not_told_again() {
        let (parent, child) = (Metrics::default(), Metrics::default());
        let mut told = Sums::default();
        for expected in [2.0, 4.0] {
            child.add("x", 2.0);
            child.tell(&parent, &mut told);
            child.tell(&parent, &mut told);
            assert_eq!(
                parent.to_value(),
                Value::map([("x", Value::Float(expected))])
            );
        }
    }
}
