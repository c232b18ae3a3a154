//! Counters of one Context; tokens, requests and money are counters with fixed names.

mod usage;

use std::{
    fmt, iter,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use indexmap::IndexMap;

use self::usage::USAGE;
pub use self::usage::UsageSums;
use crate::{
    Error, Result,
    value::{Map, Value},
};

/// Names of one Context or execution. Amounts under further names are left out and counted in
/// [`LEFT_OUT`].
pub const NAMES_MAX: usize = 1_000;

/// Metric that counts amounts for which there was no room.
pub const LEFT_OUT: &str = "metrics.left_out";

/// Longest name in bytes.
const NAME_BYTES_MAX: usize = 255;

/// Most levels that the dots of a name make; what follows is one name.
const LEVELS_MAX: usize = 16;

/// Sums by name, in the order of their first use.
pub type Sums = IndexMap<String, f64>;

/// Named sums. Reading an unknown name gives 0.
#[derive(Debug, Default)]
pub struct Metrics {
    sums: Mutex<Sums>,
    /// What is added here as well counts there, at once.
    above: Option<Above>,
    /// Counts what is added here of `usage.*` as well, at once; see [`Metrics::counted_in`].
    total: Option<Arc<Self>>,
}

/// Where what is added counts as well.
#[derive(Clone, Debug)]
enum Above {
    Context(Arc<Metrics>),
    Execution(Arc<dyn Counting>),
}

/// What has metrics of its own: an execution.
pub(crate) trait Counting: fmt::Debug + Send + Sync {
    /// What it counted.
    fn metrics(&self) -> &Metrics;
}

impl Metrics {
    /// Metrics of which `total`, where there is one, counts the `usage.*` too: what is added here
    /// at once, and not again what is told from one to another.
    pub(crate) fn counted_in(total: Option<Arc<Self>>) -> Self {
        Self {
            sums: Mutex::default(),
            above: None,
            total,
        }
    }

    /// Those of a Context below another, whose metrics are `above`; see [`Metrics::counted_in`].
    pub(crate) fn below(above: &Arc<Self>, total: Option<Arc<Self>>) -> Self {
        Self {
            sums: Mutex::default(),
            above: Some(Above::Context(Arc::clone(above))),
            total,
        }
    }

    /// Those of a Context inside of an execution; see [`Metrics::counted_in`].
    pub(crate) fn within(execution: Arc<dyn Counting>, total: Option<Arc<Self>>) -> Self {
        Self {
            sums: Mutex::default(),
            above: Some(Above::Execution(execution)),
            total,
        }
    }

    /// Adds `amount` to the metric `name`. What is no number is left out.
    ///
    /// What is added to the metrics of a Context counts in those around it too, up to the
    /// execution's; what is set does not.
    pub fn add(&self, name: &str, amount: f64) {
        self.add_all([(name, amount)]);
    }

    fn count_in_total(&self, name: &str, amount: f64) {
        if let Some(total) = self.total.as_ref().filter(|_| name.starts_with(USAGE)) {
            total.add(name, amount);
        }
    }

    /// As [`Metrics::add`], of what a script or a program counts.
    ///
    /// # Errors
    ///
    /// `invalid_args` for a name that is empty, longer than 255 bytes or has control characters,
    /// for an amount that is not finite, and for a negative one of `usage.*`, which only grows.
    pub fn count(&self, name: &str, amount: f64) -> Result<()> {
        check(name, ("amount", amount))?;
        self.add(name, amount);
        Ok(())
    }

    /// Replaces the metric `name`.
    ///
    /// # Errors
    ///
    /// As of [`Metrics::count`]; `invalid_args` also for a metric `usage.*` that would be less than
    /// it is.
    pub fn set(&self, name: &str, value: f64) -> Result<()> {
        check(name, ("value", value))?;
        let mut sums = self.sums();
        let before = sums.get(name).copied().unwrap_or(0.0);
        if value < before && name.starts_with(USAGE) {
            let message = format!("`{name}` is {before} already, and what was used only grows");
            let hint = format!("give {before} or more, or use a name without `usage.`");
            return Err(Error::invalid_args(message).with_hint(hint));
        }
        add_to(&mut sums, name, value - before);
        if let Some(sum) = sums.get_mut(name) {
            *sum = value;
        }
        self.count_in_total(name, value - before);
        Ok(())
    }

    /// The metric `name`, 0 when nothing was added to it.
    pub fn get(&self, name: &str) -> f64 {
        self.sums().get(name).copied().unwrap_or(0.0)
    }

    /// Adds every metric of `other` to this one's. What was used counts in the total of a handle
    /// where it was used, and by this no second time.
    pub fn merge(&self, other: &Self) {
        if std::ptr::eq(self, other) {
            return;
        }
        let sums = other.sums().clone();
        self.add_upwards(named(&sums));
    }

    /// As [`Metrics::merge`], of sums that a script or a program has: all of them, or none where
    /// one does not fit.
    ///
    /// # Errors
    ///
    /// As of [`Metrics::count`].
    pub fn merge_sums(&self, sums: &Sums) -> Result<()> {
        check_all(sums)?;
        self.add_upwards(named(sums));
        Ok(())
    }

    /// Adds to `other` what has come since the last time; `told` is what it has already.
    pub(crate) fn tell(&self, other: &Self, told: &mut Sums) {
        let sums = self.sums();
        if sums.is_empty() {
            return;
        }
        let sums = sums.clone();
        let differences = sums.iter().filter_map(|(name, sum)| {
            let difference = sum - told.get(name).copied().unwrap_or(0.0);
            (difference != 0.0).then_some((name.as_str(), difference))
        });
        other.add_upwards(differences);
        *told = sums;
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

    /// Bytes of memory that they take, about.
    pub(crate) fn footprint(&self) -> usize {
        let sums = self.sums();
        let names = sums.keys().map(String::len).sum::<usize>();
        names + sums.len() * (size_of::<String>() + 3 * size_of::<f64>())
    }

    /// Adds here, in all above and in the total, one lock after the other.
    fn add_all<'a>(&self, added: impl IntoIterator<Item = (&'a str, f64), IntoIter: Clone>) {
        let added = added.into_iter();
        self.add_upwards(added.clone());
        for (name, amount) in added {
            self.count_in_total(name, amount);
        }
    }

    /// Adds here and in all above.
    fn add_upwards<'a>(&self, added: impl IntoIterator<Item = (&'a str, f64), IntoIter: Clone>) {
        let added = added.into_iter();
        for metrics in iter::successors(Some(self), |it| it.above()) {
            let mut sums = metrics.sums();
            for (name, amount) in added.clone() {
                add_to(&mut sums, name, amount);
            }
        }
    }

    fn above(&self) -> Option<&Self> {
        match self.above.as_ref()? {
            Above::Context(metrics) => Some(metrics),
            Above::Execution(execution) => Some(execution.metrics()),
        }
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        // One after the other: each would drop the next inside of itself, deeper than a stack is.
        let mut above = self.above.take();
        while let Some(Above::Context(metrics)) = above {
            above = Arc::into_inner(metrics).and_then(|mut last| last.above.take());
        }
    }
}

fn named(sums: &Sums) -> impl Iterator<Item = (&str, f64)> + Clone {
    sums.iter().map(|(name, amount)| (name.as_str(), *amount))
}

fn check_all(sums: &Sums) -> Result<()> {
    sums.iter()
        .try_for_each(|(name, amount)| check(name, ("amount", *amount)))
}

/// Whether a name is one, and a number counts something.
fn check(name: &str, (what, number): (&str, f64)) -> Result<()> {
    let is_name = !name.trim().is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.contains(|it: char| it.is_control());
    if !is_name {
        let shown: String = name.chars().take(40).collect();
        let message = format!("`{}` is no name of a metric", shown.escape_debug());
        let hint = format!("use up to {NAME_BYTES_MAX} bytes without control characters");
        return Err(Error::invalid_args(message).with_hint(hint));
    }
    if !number.is_finite() {
        let message = format!("`{what}` of the metric `{name}` is `{number}`");
        return Err(Error::invalid_args(message).with_hint("give a finite number"));
    }
    if number < 0.0 && name.starts_with(USAGE) {
        let message = format!("`{what}` of `{name}` is `{number}`, but what was used only grows");
        return Err(Error::invalid_args(message).with_hint("give 0 or more"));
    }
    Ok(())
}

fn add_to(sums: &mut Sums, name: &str, amount: f64) {
    if !amount.is_finite() {
        return;
    }
    if let Some(sum) = sums.get_mut(name) {
        *sum += amount;
    } else if sums.len() < NAMES_MAX {
        sums.insert(name.to_owned(), amount);
    } else {
        *sums.entry(LEFT_OUT.to_owned()).or_default() += 1.0;
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
mod tests;
