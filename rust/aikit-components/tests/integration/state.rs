//! State: compared with a model map on every backend, changes of many at once, tenants, damage.

use std::{
    collections::BTreeMap,
    sync::{Arc, Barrier},
};

use aikit_components::{
    project::{Place, Project, STORE_PATH},
    security::policy::Profile,
    state::{DEPTH_MAX, KEY_BYTES_MAX, Scope, State, VALUE_BYTES_MAX},
    storage::BACKENDS,
};
use aikit_core::{
    Context, ErrorKind, Result, Value,
    context::{Overrides, Principal},
    io,
};
use bytes::Bytes;

fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    io::wait(future, || Ok(())).unwrap()
}

fn project(folder: &tempfile::TempDir) -> Project {
    let home = folder.path().canonicalize().unwrap();
    Project::new(home, Profile::Notebook)
}

fn open(project: &Project, scope: &str, place: &Place) -> State {
    let (project, place) = (project.clone(), place.clone());
    let scope: Scope = scope.parse().unwrap();
    let opened = async move { State::open_at(&Context::default(), &project, scope, &place).await };
    wait(opened).unwrap()
}

/// Two handles on one state, for each backend: of two stores where the backend can.
fn handles() -> Vec<(&'static str, State, State, tempfile::TempDir)> {
    let made = BACKENDS.iter().map(|backend| {
        let folder = tempfile::tempdir().unwrap();
        let project = project(&folder);
        let place = if backend.is_persistent {
            Place::File(format!("{}.db", backend.name).into())
        } else {
            Place::Memory
        };
        let one = open(&project, "custom:test", &place);
        let two = if backend.is_persistent {
            open(&project, "custom:test", &place)
        } else {
            one.clone()
        };
        (backend.name, one, two, folder)
    });
    made.collect()
}

fn get(state: &State, key: &str) -> Result<Option<Value>> {
    let (state, key) = (state.clone(), key.to_owned());
    wait(async move { state.get(&Context::default(), &key).await })
}

fn set(state: &State, key: &str, value: &Value) -> Result<()> {
    let (state, key, value) = (state.clone(), key.to_owned(), value.clone());
    wait(async move { state.set(&Context::default(), &key, &value).await })
}

fn delete(state: &State, key: &str) -> bool {
    let (state, key) = (state.clone(), key.to_owned());
    wait(async move { state.delete(&Context::default(), &key).await }).unwrap()
}

fn keys(state: &State, prefix: &str) -> Vec<String> {
    let (state, prefix) = (state.clone(), prefix.to_owned());
    wait(async move { state.keys(&Context::default(), &prefix).await }).unwrap()
}

fn compare_and_set(state: &State, key: &str, expected: &Value, new: &Value) -> bool {
    let (state, key) = (state.clone(), key.to_owned());
    let (expected, new) = (expected.clone(), new.clone());
    let done = async move {
        let cx = Context::default();
        state.compare_and_set(&cx, &key, &expected, &new).await
    };
    wait(done).unwrap()
}

/// Adds one, as often as asked for.
fn count(state: &State, steps: usize) {
    let state = state.clone();
    let counted = async move {
        for _ in 0..steps {
            let add = |found: Option<Value>| async move {
                Ok(Value::Int(
                    found.and_then(|it| it.as_i64()).unwrap_or(0) + 1,
                ))
            };
            state.update(&Context::default(), "count", add).await?;
        }
        Ok::<_, aikit_core::Error>(())
    };
    wait(counted).unwrap();
}

/// Values of every kind, those that other formats lose among them.
fn values() -> Vec<Value> {
    let nested = Value::map([
        ("list", Value::List(vec![Value::Null, Value::Bool(true)])),
        ("empty list", Value::List(Vec::new())),
        ("empty map", Value::map::<String>([])),
        ("", Value::from("é\u{1f980}\0")),
    ]);
    vec![
        Value::Null,
        Value::Bool(false),
        Value::Int(i64::MIN),
        Value::Int(1),
        Value::Float(1.0),
        Value::Float(f64::NAN),
        Value::Float(f64::NEG_INFINITY),
        Value::from("text"),
        Value::Bytes(Bytes::from_static(b"\x00\xff")),
        Value::List(Vec::new()),
        nested,
    ]
}

/// A value as it is compared: one and 1.0 are the same.
fn seen(value: Option<&Value>) -> Value {
    match value {
        Some(Value::Float(1.0)) => Value::Int(1),
        Some(value) => value.clone(),
        None => Value::Null,
    }
}

#[test]
fn every_backend_behaves_as_a_map() {
    const NAMES: &[&str] = &["a", "a/", "a/b", "a/é", "b", "ba", "%2F", "🦀"];
    for (backend, one, two, _folder) in handles() {
        let values = values();
        let mut model: BTreeMap<&str, Value> = BTreeMap::new();
        let mut seed = 7_u64;
        for _ in 0..400 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let pick = usize::try_from(seed >> 33).unwrap();
            let name = NAMES[pick % NAMES.len()];
            let value = &values[(pick >> 4) % values.len()];
            let state = if pick & 0x100 == 0 { &one } else { &two };
            match (pick >> 9) % 4 {
                0 => {
                    assert_eq!(
                        delete(state, name),
                        model.remove(name).is_some(),
                        "{backend}"
                    );
                }
                1 => {
                    let expected = &values[(pick >> 12) % values.len()];
                    let is_it = seen(model.get(name)) == seen(Some(expected));
                    assert_eq!(compare_and_set(state, name, expected, value), is_it);
                    if is_it {
                        model.insert(name, value.clone());
                    }
                }
                _ => {
                    set(state, name, value).unwrap();
                    model.insert(name, value.clone());
                }
            }
        }
        for name in NAMES {
            assert_eq!(
                get(&two, name).unwrap(),
                model.get(name).cloned(),
                "{backend} {name}"
            );
            let expected: Vec<&str> = model
                .keys()
                .copied()
                .filter(|it| it.starts_with(name))
                .collect();
            assert_eq!(keys(&one, name), expected, "{backend} {name}");
        }
    }
}

#[test]
fn of_many_that_count_together_none_loses_a_step() {
    const STEPS: usize = 20;
    for (backend, one, two, _folder) in handles() {
        let start = Arc::new(Barrier::new(4));
        let counters = [one.clone(), two.clone(), one.clone(), two.clone()];
        let counters = counters.map(|state| {
            let start = Arc::clone(&start);
            std::thread::spawn(move || {
                start.wait();
                count(&state, STEPS);
            })
        });
        for counter in counters {
            counter.join().unwrap();
        }
        let expected = i64::try_from(4 * STEPS).unwrap();
        assert_eq!(
            get(&one, "count").unwrap(),
            Some(Value::Int(expected)),
            "{backend}"
        );
    }
}

#[test]
fn a_change_that_fails_changes_nothing() {
    for (_, state, _, _folder) in handles() {
        set(&state, "key", &Value::Int(1)).unwrap();
        let failing = state.clone();
        let failed = wait(async move {
            let fail = |_| async { Err(aikit_core::Error::invalid_args("as wanted")) };
            failing.update(&Context::default(), "key", fail).await
        });
        assert_eq!(failed.unwrap_err().message(), "as wanted");
        assert_eq!(get(&state, "key").unwrap(), Some(Value::Int(1)));
    }
}

#[test]
fn what_is_too_large_or_too_deep_is_refused() {
    for (_, state, _, _folder) in handles() {
        let deep = |levels| (0..levels).fold(Value::Null, |it, _| Value::List(vec![it]));
        assert!(set(&state, "deep", &deep(DEPTH_MAX)).is_ok());
        assert_eq!(get(&state, "deep").unwrap(), Some(deep(DEPTH_MAX)));
        let large = Value::Bytes(vec![0; VALUE_BYTES_MAX].into());
        for (key, value, kind) in [
            ("deep", deep(DEPTH_MAX + 1), ErrorKind::InvalidArgs),
            ("large", large, ErrorKind::LimitExceeded),
            ("", Value::Null, ErrorKind::InvalidArgs),
            ("a\nb", Value::Null, ErrorKind::InvalidArgs),
            (
                &"x".repeat(KEY_BYTES_MAX + 1),
                Value::Null,
                ErrorKind::InvalidArgs,
            ),
        ] {
            let error = set(&state, key, &value).unwrap_err();
            assert_eq!(error.kind(), kind);
            assert!(error.hint().is_some());
        }
    }
}

fn of(tenant: &str, user: &str) -> Context {
    Context::create(Overrides {
        principal: Some(Principal {
            id: user.to_owned(),
            tenant_id: Some(tenant.to_owned()),
            roles: Vec::new(),
        }),
        ..Overrides::default()
    })
}

#[test]
fn tenants_and_users_see_only_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let project = Project::new(folder.path().canonicalize().unwrap(), Profile::Served);
    let open = |cx: Context, scope: Scope| {
        let project = project.clone();
        wait(async move { State::open(&cx, &project, scope).await })
    };
    let (ada, bob) = (of("a", "ada"), of("b", "bob"));
    set(
        &open(ada.clone(), Scope::Global).unwrap(),
        "key",
        &Value::Int(1),
    )
    .unwrap();
    assert_eq!(
        get(&open(bob, Scope::Global).unwrap(), "key").unwrap(),
        None
    );
    assert!(open(ada.clone(), Scope::User("ada".to_owned())).is_ok());
    for (cx, scope) in [
        (ada, Scope::User("bob".to_owned())),
        (Context::default(), Scope::Global),
    ] {
        let error = open(cx, scope).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_damaged_value_is_an_error_of_its_own_key_and_can_be_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&project(&folder), "global", &Place::Project);
    for key in ["a", "b"] {
        set(&state, key, &Value::from("value")).unwrap();
    }
    let file = rusqlite::Connection::open(folder.path().join(STORE_PATH)).unwrap();
    let damage = "UPDATE keys SET record = CAST(substr(record, 1, length(record) - 1) || x'00' AS BLOB) WHERE key LIKE 'state/%/a'";
    assert_eq!(file.execute(damage, []).unwrap(), 1);
    assert_eq!(
        get(&state, "a").unwrap_err().kind(),
        ErrorKind::CorruptRecord
    );
    assert_eq!(get(&state, "b").unwrap(), Some(Value::from("value")));
    assert_eq!(keys(&state, ""), ["a", "b"]);
    assert!(delete(&state, "a"));
    assert_eq!(get(&state, "a").unwrap(), None);
}

#[test]
fn a_cancelled_call_writes_nothing() {
    for (_, state, _, _folder) in handles() {
        let cancelled = state.clone();
        let error = wait(async move {
            let cx = Context::default();
            cx.cancel(ErrorKind::Cancelled, "as wanted");
            cancelled.set(&cx, "key", &Value::Int(1)).await
        });
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(get(&state, "key").unwrap(), None);
    }
}
