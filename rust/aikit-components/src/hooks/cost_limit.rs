//! `cost_limit`: bounds what models may use in a session: money, tokens, requests.

use std::sync::{Arc, Mutex, PoisonError};

use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    hook::{Hook, HookAction, Subject},
};
use futures::future::BoxFuture;
use indexmap::IndexMap;
use serde::Deserialize;

use super::{
    BuiltIn, Host, Made, read,
    selection::{Called, Selection},
};

/// Tenants whose use is kept apart; all further ones share what is left for one.
const TENANTS_MAX: usize = 10_000;

/// Tokens that a price is for.
const PRICED_TOKENS: f64 = 1e6;

pub(super) const BUILT_IN: BuiltIn = BuiltIn {
    name: "cost_limit",
    summary: "Refuses further requests to models when a session has used its money, tokens or \
              requests, for each tenant. Requests that run at the same time can exceed it by what \
              they use.",
    options: &[
        ("usd", "Most money, in US dollars; it needs `prices`."),
        ("tokens", "Most tokens, those read and those written."),
        ("requests", "Most requests."),
        (
            "prices",
            "By the name of a model (a `*` at its end stands for anything) a table of `input` and \
             `output`: US dollars for a million tokens.",
        ),
    ],
    on: &["model"],
    make,
};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    usd: Option<f64>,
    tokens: Option<f64>,
    requests: Option<f64>,
    prices: IndexMap<String, Price>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Price {
    input: f64,
    output: f64,
}

#[derive(Debug)]
struct CostLimit {
    selection: Selection,
    limits: Used<Option<f64>>,
    prices: IndexMap<String, Price>,
    tenants_max: usize,
    used: Mutex<IndexMap<Whose, Used<f64>>>,
}

/// Whose use is counted.
#[derive(Debug, Eq, Hash, PartialEq)]
enum Whose {
    Nobodys,
    Tenants(String),
    /// Of all tenants beyond the bound.
    Others,
}

#[derive(Clone, Copy, Debug, Default)]
struct Used<T> {
    usd: T,
    tokens: T,
    requests: T,
}

fn make(_: &Host, selection: Selection, options: Value) -> Result<Made> {
    let options: Options = read(options)?;
    if let Some(other) = selection.subjects.iter().find(|it| it.name != "model") {
        let message = format!("`{}` has no cost of its own", other.name);
        return Err(Error::invalid_args(message).with_hint("leave `on` out: models have one"));
    }
    let limits = Used {
        usd: options.usd,
        tokens: options.tokens,
        requests: options.requests,
    };
    let given = [limits.usd, limits.tokens, limits.requests];
    let is_limit = |it: f64| it.is_finite() && it >= 0.0;
    if given.iter().all(Option::is_none) || given.iter().flatten().any(|it| !is_limit(*it)) {
        return Err(
            Error::invalid_args("there is no limit, or one that is none")
                .with_hint("give at least one of `usd`, `tokens` and `requests`, from 0 on"),
        );
    }
    let prices = options.prices.values();
    if prices
        .flat_map(|it| [it.input, it.output])
        .any(|it| !is_limit(it))
    {
        return Err(Error::invalid_args("a price is below 0 or no number")
            .with_hint("give US dollars for a million tokens"));
    }
    let (before, after) = (
        selection.points(Subject::before),
        selection.points(Subject::after),
    );
    let hook = CostLimit {
        selection,
        limits,
        prices: options.prices,
        tenants_max: TENANTS_MAX,
        used: Mutex::default(),
    };
    Ok(Made {
        hook: Arc::new(hook),
        parts: vec![(before, -1_200), (after, 1_200)],
        timeout: None,
        required: true,
    })
}

impl Hook for CostLimit {
    fn call<'a>(&'a self, cx: &'a Context, data: &'a Value) -> BoxFuture<'a, Result<HookAction>> {
        let action = self.selection.called(data).map(|called| {
            if called.is(".before") {
                return self.check(cx, &called);
            }
            self.count(cx, &called);
            HookAction::Continue
        });
        Box::pin(std::future::ready(Ok(
            action.unwrap_or(HookAction::Continue)
        )))
    }

    fn report(&self) -> Value {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = |part: fn(&Used<f64>) -> f64| Value::from(used.values().map(part).sum::<f64>());
        Value::map([
            ("usd", sum(|it| it.usd)),
            ("tokens", sum(|it| it.tokens)),
            ("requests", sum(|it| it.requests)),
        ])
    }
}

impl CostLimit {
    fn check(&self, cx: &Context, called: &Called<'_>) -> HookAction {
        let name = called.name;
        if self.limits.usd.is_some() && self.price(name).is_none() {
            return stop(format!(
                "no price of `{name}` is known: add it to `prices`, with 0 where it is free"
            ));
        }
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let used = used.get(&self.whose(cx, &used)).copied();
        let used = used.unwrap_or_default();
        let limits = [
            ("US dollars", used.usd, self.limits.usd),
            ("tokens", used.tokens, self.limits.tokens),
            ("requests", used.requests, self.limits.requests),
        ];
        for (what, used, limit) in limits {
            if let Some(limit) = limit
                && used >= limit
            {
                return stop(format!("{used} of {limit} {what} are used"));
            }
        }
        HookAction::Continue
    }

    fn count(&self, cx: &Context, called: &Called<'_>) {
        let usage = called.data.get("response").and_then(|it| it.get("usage"));
        let number = |key: &str| {
            let number = usage.and_then(|usage| usage.get(key));
            number.and_then(Value::as_f64).unwrap_or_default()
        };
        // Vectors say nothing of what they used.
        let requests = if called.text("operation") == "embeddings" {
            1.0
        } else {
            number("requests")
        };
        let (input, output) = (number("input_tokens"), number("output_tokens"));
        let price = self.price(called.name);
        let cost = price.map_or(0.0, |price| {
            (input * price.input + output * price.output) / PRICED_TOKENS
        });
        if cost > 0.0 {
            cx.metrics().add("usage.cost_usd", cost);
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let whose = self.whose(cx, &used);
        let used = used.entry(whose).or_default();
        used.usd += cost;
        used.tokens += input + output;
        used.requests += requests;
    }

    /// Under what the use of a call in `cx` is counted, and looked for before it.
    fn whose(&self, cx: &Context, used: &IndexMap<Whose, Used<f64>>) -> Whose {
        let Some(tenant) = &cx.principal().tenant_id else {
            return Whose::Nobodys;
        };
        let tenant = Whose::Tenants(tenant.clone());
        let is_kept_apart = used.len() < self.tenants_max || used.contains_key(&tenant);
        if is_kept_apart { tenant } else { Whose::Others }
    }

    fn price(&self, model: &str) -> Option<Price> {
        let named = self.prices.get(model).copied();
        named.or_else(|| {
            let fits = |known: &str| {
                known
                    .strip_suffix('*')
                    .is_some_and(|start| model.starts_with(start))
            };
            self.prices
                .iter()
                .find(|(known, _)| fits(known))
                .map(|(_, price)| *price)
        })
    }
}

fn stop(reason: String) -> HookAction {
    HookAction::Stop {
        reason,
        kind: ErrorKind::LimitExceeded,
    }
}

#[cfg(test)]
mod tests {
    use aikit_core::context::{Overrides, Principal};
    use futures::FutureExt as _;

    use super::*;

    fn context(tenant: Option<&str>) -> Context {
        Context::create(Overrides {
            principal: Some(Principal {
                tenant_id: tenant.map(str::to_owned),
                ..Principal::default()
            }),
            ..Overrides::default()
        })
    }

    #[test]
    fn tenants_beyond_the_bound_share_one_limit_and_take_nobodys() {
        let hook = CostLimit {
            selection: Selection::read(Value::Null, Value::Null, &["model"]).unwrap(),
            limits: Used {
                requests: Some(2.0),
                ..Used::default()
            },
            prices: IndexMap::new(),
            tenants_max: 2,
            used: Mutex::default(),
        };
        let asked = |tenant: Option<&str>| {
            let cx = context(tenant);
            let call = |point: &str| {
                let usage = Value::map([("requests", Value::Int(1))]);
                let data = Value::map([
                    ("point", Value::from(point)),
                    ("model", Value::from("test")),
                    ("response", Value::map([("usage", usage)])),
                ]);
                hook.call(&cx, &data).now_or_never().unwrap().unwrap()
            };
            let is_let_through = call("model.before") == HookAction::Continue;
            if is_let_through {
                call("model.after");
            }
            is_let_through
        };
        for tenant in [Some("a"), Some("b")] {
            assert_eq!(
                [(); 3].map(|()| asked(tenant)),
                [true, true, false],
                "{tenant:?}"
            );
        }
        let others = ["c", "d", "e", "c"].map(|it| asked(Some(it)));
        assert_eq!(others, [true, true, false, false]);
        assert_eq!([(); 3].map(|()| asked(None)), [true, true, false]);
    }
}
