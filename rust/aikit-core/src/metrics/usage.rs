//! What calls of models used: metrics with fixed names.

use super::{Metrics, check};
use crate::{Result, Value};

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
pub(super) const USAGE: &str = "usage.";

impl Metrics {
    /// As [`Metrics::add_usage`], of what a script or a program says.
    ///
    /// # Errors
    ///
    /// `invalid_args` for a sum that is negative or not finite.
    pub fn count_usage(&self, usage: &UsageSums) -> Result<()> {
        for (name, amount) in usage.named() {
            check(name, (&name[USAGE.len()..], amount))?;
        }
        self.add_usage(usage);
        Ok(())
    }

    /// Adds what a call of a model used.
    pub fn add_usage(&self, usage: &UsageSums) {
        let used = usage.named();
        let used = used.into_iter().filter(|(_, amount)| *amount != 0.0);
        self.add_all(used);
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
}

impl UsageSums {
    /// As data, with the names of the fields; without the details of tokens that are 0.
    pub fn to_value(self) -> Value {
        let named = self.named().into_iter();
        let is_there =
            |(index, (_, sum)): &(usize, (&str, f64))| *index < ALWAYS_THERE || *sum != 0.0;
        let named = named.enumerate().filter(is_there);
        Value::map(named.map(|(_, (name, sum))| (&name[USAGE.len()..], Value::Float(sum))))
    }

    /// Names of metrics and their sums.
    const fn named(&self) -> [(&'static str, f64); 6] {
        [
            ("usage.input_tokens", self.input_tokens),
            ("usage.output_tokens", self.output_tokens),
            ("usage.requests", self.requests),
            ("usage.cost_usd", self.cost_usd),
            ("usage.cached_input_tokens", self.cached_input_tokens),
            ("usage.reasoning_tokens", self.reasoning_tokens),
        ]
    }
}
