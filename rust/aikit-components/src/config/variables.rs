//! The environment: what is set, by name, and what stands for it in a test.

use std::{fmt, sync::Arc};

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Environment variables, or what stands for them in a test. Cheap to clone.
#[derive(Clone)]
pub struct Variables {
    lookup: Arc<Lookup>,
    names: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
}

// By hand: values may be secrets.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variables").finish_non_exhaustive()
    }
}

impl Variables {
    /// The environment of this process.
    pub fn of_process() -> Self {
        Self {
            lookup: Arc::new(|name| std::env::var(name).ok()),
            names: Arc::new(|| {
                let names = std::env::vars_os().map(|(name, _)| name.into_string());
                names.filter_map(Result::ok).collect()
            }),
        }
    }

    /// No variable at all.
    pub fn none() -> Self {
        Self::new(|_| None)
    }

    /// What `lookup` finds; it cannot be listed.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self {
            lookup: Arc::new(lookup),
            names: Arc::new(Vec::new),
        }
    }

    /// These names and values.
    pub fn of<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let pairs = pairs.into_iter();
        let pairs: Vec<(String, String)> = pairs
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let names = pairs.iter().map(|(name, _)| name.clone()).collect();
        let names: Vec<String> = names;
        let find = move |wanted: &str| {
            let found = pairs.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.clone())
        };
        Self {
            lookup: Arc::new(find),
            names: Arc::new(move || names.clone()),
        }
    }

    /// The value of a variable; `None` when it is not set or not UTF-8.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(name)
    }

    /// The value of a variable that says something.
    pub fn get_text(&self, name: &str) -> Option<String> {
        self.get(name).filter(|value| !value.trim().is_empty())
    }

    /// The names of all variables that are set.
    pub fn names(&self) -> Vec<String> {
        (self.names)()
    }
}
