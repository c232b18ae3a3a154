//! Sessions and artifacts: conversations of many writers, checkpoints, contents kept once.

use std::sync::{Arc, Barrier};

use aikit_components::{
    artifacts::{ArtifactFilter, Artifacts, PutOptions},
    project::{Project, STORE_PATH},
    security::policy::Profile,
    sessions::{Session, SessionFilter, SessionOptions, Sessions, Status},
    state::Scope,
};
use aikit_core::{
    Context, Error, ErrorKind, Value, io,
    model::{Message, Role},
};

fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    io::wait(future, || Ok(())).unwrap()
}

fn project(folder: &tempfile::TempDir) -> Project {
    let home = folder.path().canonicalize().unwrap();
    Project::new(home, Profile::Notebook)
}

fn named(name: &str) -> SessionOptions {
    SessionOptions {
        name: Some(name.to_owned()),
        ..SessionOptions::default()
    }
}

fn said(text: &str) -> Message {
    Message::text(Role::User, text)
}

fn texts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(Message::to_text).collect()
}

#[test]
fn a_session_is_taken_up_again_by_another_handle() {
    let folder = tempfile::tempdir().unwrap();
    // As two processes have them.
    let (one, two) = (project(&folder), project(&folder));
    let found = wait(async move {
        let cx = Context::default();
        let session = Sessions::new(one).create(&cx, named("work")).await?;
        session.append(&cx, &[said("a"), said("b")]).await?;
        session.state().set(&cx, "step", &Value::Int(2)).await?;
        session.complete(&cx).await?;
        let sessions = Sessions::new(two);
        let completed = SessionFilter {
            status: Some(Status::Completed),
            ..SessionFilter::default()
        };
        assert_eq!(sessions.list(&cx, completed).await?.len(), 1);
        let again = sessions.resume(&cx, "work").await?;
        assert_eq!(again.id(), session.id());
        let state = again.state().get(&cx, "step").await?;
        let info = again.info(&cx).await?;
        Ok::<_, Error>((texts(&again.messages(&cx).await?), state, info.status))
    });
    let expected = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(
        found.unwrap(),
        (expected, Some(Value::Int(2)), Status::Active)
    );
}

#[test]
fn of_many_that_write_a_conversation_no_message_is_lost_and_turns_stay_together() {
    const TURNS: usize = 8;
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (project(&folder), project(&folder));
    let id = wait(async move {
        let session = Sessions::new(first)
            .create(&Context::default(), named("x"))
            .await;
        session.unwrap().id().to_owned()
    });
    let start = Arc::new(Barrier::new(3));
    let writers = [0, 1, 2].map(|writer| {
        let (project, id, start) = (project(&folder), id.clone(), Arc::clone(&start));
        std::thread::spawn(move || {
            start.wait();
            wait(async move {
                let cx = Context::default();
                let session = Sessions::new(project).find(&cx, &id).await.unwrap();
                for turn in 0..TURNS {
                    let messages = [
                        said(&format!("{writer}.{turn}?")),
                        said(&format!("{writer}.{turn}!")),
                    ];
                    session.append(&cx, &messages).await.unwrap();
                }
            });
        })
    });
    for writer in writers {
        writer.join().unwrap();
    }
    let messages = wait(async move {
        let cx = Context::default();
        let session: Session = Sessions::new(second).find(&cx, &id).await.unwrap();
        let messages = session.messages(&cx).await.unwrap();
        assert_eq!(
            session.info(&cx).await.unwrap().messages,
            messages.len() as u64
        );
        texts(&messages)
    });
    assert_eq!(messages.len(), 3 * TURNS * 2);
    for turn in messages.chunks(2) {
        assert_eq!(turn[0].trim_end_matches('?'), turn[1].trim_end_matches('!'));
    }
}

#[test]
fn of_two_that_open_a_name_at_once_both_have_one_session() {
    let folder = tempfile::tempdir().unwrap();
    let start = Arc::new(Barrier::new(4));
    let openers = [0; 4].map(|_| {
        let (project, start) = (project(&folder), Arc::clone(&start));
        std::thread::spawn(move || {
            start.wait();
            wait(async move {
                let cx = Context::default();
                let session = Sessions::new(project).open(&cx, named("shared")).await;
                session.unwrap().id().to_owned()
            })
        })
    });
    let mut ids: Vec<String> = openers.map(|it| it.join().unwrap()).to_vec();
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[test]
fn a_damaged_message_is_told_and_not_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = Sessions::new(project(&folder));
    let session = wait(async move {
        let cx = Context::default();
        let session = sessions.create(&cx, named("x")).await.unwrap();
        session.append(&cx, &[said("a"), said("b")]).await.unwrap();
        session
    });
    let file = rusqlite::Connection::open(folder.path().join(STORE_PATH)).unwrap();
    let damage = "UPDATE keys SET record = CAST(substr(record, 1, length(record) - 1) || x'00' AS BLOB) WHERE key LIKE 'session/-/message/%/000000000001'";
    assert_eq!(file.execute(damage, []).unwrap(), 1);
    let error = wait(async move { session.messages(&Context::default()).await });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::CorruptRecord);
}

/// How many contents the store holds.
fn contents(folder: &tempfile::TempDir) -> i64 {
    let file = rusqlite::Connection::open(folder.path().join(STORE_PATH)).unwrap();
    let query =
        "SELECT count(*) FROM keys WHERE key LIKE 'artifact/%/content/%' AND record NOT NULL";
    file.query_row(query, [], |row| row.get(0)).unwrap()
}

#[test]
fn equal_contents_are_kept_once_and_the_last_name_takes_them_along() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(&folder);
    let artifacts = wait(async move {
        let scope = Scope::Session("1".to_owned());
        let cx = Context::default();
        let session = Artifacts::open(&cx, &project, scope).await.unwrap();
        (
            Artifacts::open(&cx, &project, Scope::Global).await.unwrap(),
            session,
        )
    });
    let (global, session) = artifacts;
    let put = |artifacts: &Artifacts, name: &str, text: &str| {
        let (artifacts, name, value) = (artifacts.clone(), name.to_owned(), Value::from(text));
        let options = PutOptions::default();
        let put = async move {
            artifacts
                .put(&Context::default(), &name, &value, options)
                .await
        };
        wait(put).unwrap()
    };
    let delete = |artifacts: &Artifacts, name: &str| {
        let (artifacts, name) = (artifacts.clone(), name.to_owned());
        wait(async move { artifacts.delete(&Context::default(), &name).await }).unwrap()
    };
    let first = put(&global, "a", "same");
    assert_eq!(put(&global, "b", "same").hash, first.hash);
    assert_eq!(put(&session, "a", "same").hash, first.hash);
    assert_eq!(contents(&folder), 1);
    put(&global, "a", "other");
    assert_eq!(contents(&folder), 2);
    put(&global, "a", "same");
    assert_eq!(contents(&folder), 1);
    assert!(delete(&global, "a") && delete(&global, "b"));
    assert_eq!(contents(&folder), 1);
    let cleared = session.clone();
    wait(async move { cleared.clear(&Context::default()).await }).unwrap();
    assert_eq!(contents(&folder), 0);
    let listed = async move {
        let filter = ArtifactFilter::default();
        session.list(&Context::default(), &filter).await
    };
    assert!(wait(listed).unwrap().is_empty());
}

#[test]
fn a_damaged_content_is_repaired_by_putting_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(&folder);
    let artifacts = wait(async move {
        let cx = Context::default();
        Artifacts::open(&cx, &project, Scope::Global).await.unwrap()
    });
    let put = |name: &'static str| {
        let artifacts = artifacts.clone();
        wait(async move {
            let (cx, value) = (Context::default(), Value::from("whole"));
            let options = PutOptions::default();
            artifacts.put(&cx, name, &value, options).await.unwrap()
        })
    };
    let get = || {
        let artifacts = artifacts.clone();
        wait(async move { artifacts.get(&Context::default(), "a").await })
    };
    put("a");
    // By the same name, and by another one that has the same content.
    for name in ["a", "b"] {
        let file = rusqlite::Connection::open(folder.path().join(STORE_PATH)).unwrap();
        let damage = "UPDATE keys SET record = CAST(substr(record, 1, length(record) - 1) || x'00' AS BLOB) WHERE key LIKE 'artifact/%/content/%' AND record NOT NULL";
        assert_eq!(file.execute(damage, []).unwrap(), 1);
        assert_eq!(get().unwrap_err().kind(), ErrorKind::CorruptRecord);
        put(name);
        assert_eq!(get().unwrap().value, Value::from("whole"));
    }
    assert_eq!(contents(&folder), 1);
}

#[test]
fn what_is_damaged_about_an_artifact_is_replaced_or_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(&folder);
    let artifacts = wait(async move {
        let cx = Context::default();
        Artifacts::open(&cx, &project, Scope::Global).await.unwrap()
    });
    let put = |name: &'static str, value: &'static str| {
        let artifacts = artifacts.clone();
        wait(async move {
            let (cx, options) = (Context::default(), PutOptions::default());
            let value = Value::from(value);
            artifacts.put(&cx, name, &value, options).await.unwrap()
        })
    };
    let get = |name: &'static str| {
        let artifacts = artifacts.clone();
        wait(async move { artifacts.get(&Context::default(), name).await })
    };
    let delete = |name: &'static str| {
        let artifacts = artifacts.clone();
        wait(async move { artifacts.delete(&Context::default(), name).await.unwrap() })
    };
    let damage = |which: &str| {
        let file = rusqlite::Connection::open(folder.path().join(STORE_PATH)).unwrap();
        let damage = "UPDATE keys SET record = CAST(substr(record, 1, length(record) - 1) || x'00' AS BLOB) WHERE key LIKE ?1 AND record NOT NULL";
        assert_eq!(file.execute(damage, [which]).unwrap(), 1, "{which}");
    };
    put("a", "one");
    damage("artifact/%/named/%/a");
    assert_eq!(get("a").unwrap_err().kind(), ErrorKind::CorruptRecord);
    assert_eq!(put("a", "two").version, 1);
    assert_eq!(get("a").unwrap().value, Value::from("two"));
    damage("artifact/%/named/%/a");
    assert!(delete("a"));
    assert!(!delete("a"));
    assert_eq!(get("a").unwrap_err().kind(), ErrorKind::NotFound);

    // A count is made anew from the names that have the content.
    for name in ["b", "c", "d"] {
        put(name, "three");
    }
    let hash = get("b").unwrap().info.hash;
    let count = format!("artifact/%/count/{hash}");
    damage(&count);
    assert!(delete("b"));
    assert_eq!(get("c").unwrap().value, Value::from("three"));
    damage(&count);
    put("e", "three");
    for (name, kept) in [("c", 1), ("d", 1), ("e", 0)] {
        assert!(delete(name));
        let file = rusqlite::Connection::open(folder.path().join(STORE_PATH)).unwrap();
        let sql = "SELECT count(*) FROM keys WHERE key LIKE ?1 AND record NOT NULL";
        let content = format!("artifact/%/content/{hash}");
        let found: i64 = file.query_row(sql, [content], |row| row.get(0)).unwrap();
        assert_eq!(found, kept, "after {name}");
    }
}

#[test]
fn a_checkpoint_holds_the_values_of_one_moment() {
    const PAIRS: usize = 100;
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (project(&folder), project(&folder));
    let session = wait(async move {
        let (cx, sessions) = (Context::default(), Sessions::new(here));
        sessions.open(&cx, named("shared")).await.unwrap()
    });
    let id = session.id().to_owned();
    // Each `a` is written before its `b`, but read before it, pages of others between them.
    let writer = std::thread::spawn(move || {
        wait(async move {
            let cx = Context::default();
            let session = Sessions::new(there).find(&cx, &id).await.unwrap();
            let large = Value::from("x".repeat(1 << 20));
            for other in 0..16 {
                let key = format!("b/{other:04}");
                session.state().set(&cx, &key, &large).await.unwrap();
            }
            for step in 0..PAIRS {
                for kind in ["a", "c"] {
                    let key = format!("{kind}/{step:04}");
                    session
                        .state()
                        .set(&cx, &key, &Value::Int(1))
                        .await
                        .unwrap();
                }
            }
        });
    });
    let is_over = move || writer.is_finished();
    wait(async move {
        let cx = Context::default();
        let mut kept = 0;
        loop {
            let last = is_over();
            match session.checkpoint(&cx, None).await {
                Ok(_) => kept += 1,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
            }
            if last {
                break;
            }
        }
        for number in 1..=kept {
            let name = format!("{number}");
            session.restore(&cx, Some(&name)).await.unwrap();
            let count = async |prefix| session.state().keys(&cx, prefix).await.unwrap().len();
            let (before, after) = (count("a/").await, count("c/").await);
            assert!(
                before == after || before == after + 1,
                "{before} and {after}"
            );
        }
    });
}
