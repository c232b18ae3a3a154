//! Counters of one Context; tokens, requests and money are counters with fixed names.

use std::{
    fmt, iter,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use indexmap::IndexMap;

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
    /// `usage.cached_input_tokens`: those of the tokens sent that came from a provider's cache,
    /// where it says so.
    pub cached_input_tokens: f64,
    /// `usage.reasoning_tokens`: those of the tokens received that were spent on reasoning, where
    /// a provider says so.
    pub reasoning_tokens: f64,
}

/// How many of the fields of [`UsageSums`] stand in its data also when they are 0.
const ALWAYS_THERE: usize = 4;

/// How the names of what calls of models used begin.
const USAGE: &str = "usage.";

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

    /// As [`Metrics::count`] of each of `sums`: all of them, or none where one does not fit.
    ///
    /// # Errors
    ///
    /// As of [`Metrics::count`].
    pub fn count_all(&self, sums: &Sums) -> Result<()> {
        for (name, amount) in sums {
            check(name, ("amount", *amount))?;
        }
        self.add_all(sums.iter().map(|(name, amount)| (name.as_str(), *amount)));
        Ok(())
    }

    /// Replaces the metric `name`.
    ///
    /// # Errors
    ///
    /// As of [`Metrics::count`].
    pub fn set(&self, name: &str, value: f64) -> Result<()> {
        check(name, ("value", value))?;
        let mut sums = self.sums();
        let before = sums.get(name).copied().unwrap_or(0.0);
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

    /// Adds every metric of `other` to this one's.
    pub fn merge(&self, other: &Self) {
        if std::ptr::eq(self, other) {
            return;
        }
        let other = other.sums().clone();
        self.add_all(other.iter().map(|(name, amount)| (name.as_str(), *amount)));
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

    /// As [`Metrics::add_usage`], of what a script or a program says.
    ///
    /// # Errors
    ///
    /// `invalid_args` for a sum that is negative or not finite.
    pub fn count_usage(&self, usage: &UsageSums) -> Result<()> {
        for (name, amount) in usage.named() {
            check(&format!("usage.{name}"), (name, amount))?;
        }
        self.add_usage(usage);
        Ok(())
    }

    /// Adds what a call of a model used.
    pub fn add_usage(&self, usage: &UsageSums) {
        let used = usage
            .named()
            .map(|(name, amount)| (format!("{USAGE}{name}"), amount));
        let used = used.iter().filter(|(_, amount)| *amount != 0.0);
        self.add_all(used.map(|(name, amount)| (name.as_str(), *amount)));
    }

    /// What calls of models used.
    pub fn usage(&self) -> UsageSums {
        UsageSums {
            input_tokens: self.get("usage.input_tokens"),
            output_tokens: self.get("usage.output_tokens"),
            requests: self.get("usage.requests"),
            cost_usd: self.get("usage.cost_usd"),
            cached_input_tokens: self.get("usage.cached_input_tokens"),
            reasoning_tokens: self.get("usage.reasoning_tokens"),
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

impl UsageSums {
    /// As data, with the names of the fields; without the details of tokens that are 0.
    pub fn to_value(self) -> Value {
        let named = self.named().into_iter();
        let is_there =
            |(index, (_, sum)): &(usize, (&str, f64))| *index < ALWAYS_THERE || *sum != 0.0;
        let named = named.enumerate().filter(is_there);
        Value::map(named.map(|(_, (name, sum))| (name, Value::Float(sum))))
    }

    const fn named(&self) -> [(&'static str, f64); 6] {
        [
            ("input_tokens", self.input_tokens),
            ("output_tokens", self.output_tokens),
            ("requests", self.requests),
            ("cost_usd", self.cost_usd),
            ("cached_input_tokens", self.cached_input_tokens),
            ("reasoning_tokens", self.reasoning_tokens),
        ]
    }
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
    if number < 0.0 && name.starts_with("usage.") {
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
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn an_unknown_metric_reads_zero_and_sums_merge() {
        let (parent, child) = (Metrics::default(), Metrics::default());
        child.add("usage.input_tokens", 3.0);
        child.add("usage.input_tokens", 4.0);
        parent.set("usage.input_tokens", 1.0).unwrap();
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
            ..UsageSums::default()
        };
        metrics.add_usage(&usage);
        metrics.add_usage(&UsageSums::default());
        assert_eq!(metrics.usage(), usage);
        let usage = metrics.to_nested();
        let usage = usage.get("usage").unwrap();
        assert_eq!(usage.get("input_tokens"), Some(&Value::Float(100.0)));
    }

    #[test]
    fn a_total_counts_usage_at_once_and_what_is_told_no_second_time() {
        let outer = Arc::new(Metrics::default());
        let total = Arc::new(Metrics::counted_in(Some(Arc::clone(&outer))));
        let of_total = || Metrics::counted_in(Some(Arc::clone(&total)));
        let (parent, child) = (of_total(), of_total());
        child.add("usage.requests", 1.0);
        child.count("usage.requests", 1.0).unwrap();
        child.count("steps", 1.0).unwrap();
        let sums = [("usage.input_tokens".to_owned(), 5.0)];
        child.count_all(&sums.into_iter().collect()).unwrap();
        child.set("usage.input_tokens", 7.0).unwrap();
        let usage = UsageSums {
            output_tokens: 3.0,
            reasoning_tokens: 2.0,
            ..UsageSums::default()
        };
        child.count_usage(&usage).unwrap();
        child.tell(&parent, &mut Sums::default());
        let expected = UsageSums {
            requests: 2.0,
            input_tokens: 7.0,
            ..usage
        };
        let all = [&parent, &child, &total, &outer].map(Metrics::usage);
        assert_eq!(all, [expected; 4]);
        assert_eq!((parent.get("steps"), total.get("steps")), (1.0, 0.0));
        let data = expected.to_value();
        assert_eq!(data.get("cached_input_tokens"), None);
        assert_eq!(data.get("cost_usd"), Some(&Value::Float(0.0)));
    }

    #[test]
    fn what_counts_nothing_is_refused() {
        let metrics = Metrics::default();
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for (name, amount) in [
            ("", 1.0),
            (" ", 1.0),
            ("a\nb", 1.0),
            (&long, 1.0),
            ("a", f64::NAN),
            ("a", f64::INFINITY),
            ("usage.input_tokens", -1.0),
        ] {
            for refused in [metrics.count(name, amount), metrics.set(name, amount)] {
                let error = refused.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidArgs, "{name} {amount}");
                assert!(error.hint().is_some());
            }
        }
        let usage = UsageSums {
            cost_usd: -0.5,
            requests: 1.0,
            ..UsageSums::default()
        };
        let error = metrics.count_usage(&usage).unwrap_err();
        assert!(error.message().contains("`cost_usd`"), "{error}");
        metrics.add("a", f64::NAN);
        assert_eq!(metrics.to_value(), Value::Map(Map::new()));
        // A metric of one's own may go down.
        metrics.count("open", 2.0).unwrap();
        metrics.count("open", -1.0).unwrap();
        metrics.set("open", -3.0).unwrap();
        assert_eq!(
            metrics.to_value(),
            Value::map([("open", Value::Float(-3.0))])
        );
    }

    #[test]
    fn the_names_are_bounded_and_what_has_no_room_is_counted() {
        let (parent, child) = (Metrics::default(), Metrics::default());
        for index in 0..NAMES_MAX + 5 {
            child.count(&format!("n{index}"), 2.0).unwrap();
            parent.add(&format!("p{index}"), 2.0);
        }
        child.set("another", 2.0).unwrap();
        child.count("n0", 1.0).unwrap();
        assert_eq!((child.get("n0"), child.get(LEFT_OUT)), (3.0, 6.0));
        assert_eq!(child.sums().len(), NAMES_MAX + 1);
        // What a parent is told is bounded as well.
        child.tell(&parent, &mut Sums::default());
        let left_out = parent.get(LEFT_OUT);
        assert_eq!((parent.sums().len(), left_out), (NAMES_MAX + 1, 1_011.0));
        child.merge(&parent);
        assert_eq!(child.sums().len(), NAMES_MAX + 1);
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
    fn many_are_counted_or_none() {
        let metrics = Metrics::default();
        let of = |sums: &[(&str, f64)]| -> Sums {
            sums.iter()
                .map(|(name, sum)| ((*name).to_owned(), *sum))
                .collect()
        };
        for wrong in [("", 1.0), ("b", f64::NAN), ("usage.requests", -1.0)] {
            assert!(metrics.count_all(&of(&[("a", 1.0), wrong])).is_err());
            assert_eq!(metrics.to_value(), Value::Map(Map::new()));
        }
        metrics.count_all(&of(&[("a", 1.0), ("b", 2.0)])).unwrap();
        assert_eq!((metrics.get("a"), metrics.get("b")), (1.0, 2.0));
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
