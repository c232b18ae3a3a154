//! Where the state and sessions ask hooks, and what each answer does.

use aikit_components::{
    project::Project,
    security::policy::Profile,
    sessions::{SessionOptions, Sessions, Status},
    state::{Scope, State},
};
use aikit_core::{
    Context, ErrorKind, Value,
    hook::{HookAction, HookPoint},
};

use crate::{
    hooks::Noting,
    support::{hook, tool_context, wait},
};

fn project() -> (Project, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().canonicalize().unwrap();
    (Project::new(home, Profile::Notebook), folder)
}

#[test]
fn reads_and_writes_of_the_state_have_points() {
    let (project, _folder) = project();
    let cx = tool_context();
    let noting = Noting::at_all_points(&cx.context);
    let context = cx.context.clone();
    let state = wait(async move {
        State::open(&context, &project, Scope::Global)
            .await
            .unwrap()
    });
    let context = cx.context.clone();
    let used = state.clone();
    let kept = wait(async move {
        used.set(&context, "a", &Value::Int(1)).await?;
        used.update(&context, "a", |_| async { Ok(Value::Int(2)) })
            .await?;
        used.compare_and_set(&context, "a", &Value::Int(2), &Value::Int(3))
            .await?;
        let kept = used.get(&context, "a").await?;
        used.keys(&context, "").await?;
        used.delete(&context, "a").await?;
        Ok::<_, aikit_core::Error>(kept)
    });
    assert_eq!(kept.unwrap(), Some(Value::Int(3)));
    let writes = ["state.write.before", "state.write.after"];
    let reads = ["state.read.before", "state.read.after"];
    let expected = [writes, writes, writes, reads, reads, writes].concat();
    assert_eq!(noting.points(), expected);

    hook(
        &cx,
        HookPoint::StateWriteBefore,
        HookAction::modify("value", Value::Int(9)),
    );
    hook(
        &cx,
        HookPoint::StateReadAfter,
        HookAction::modify("value", Value::from("hidden")),
    );
    let context = cx.context.clone();
    let (read, stored) = wait(async move {
        state.set(&context, "b", &Value::Int(1)).await.unwrap();
        let read = state.get(&context, "b").await.unwrap();
        (read, state.get(&Context::default(), "b").await.unwrap())
    });
    assert_eq!(
        (read, stored),
        (Some(Value::from("hidden")), Some(Value::Int(9)))
    );
}

#[test]
fn sessions_start_end_and_are_kept_with_hooks() {
    let (project, _folder) = project();
    let cx = tool_context();
    let noting = Noting::at_all_points(&cx.context);
    let tags: Value = ["seen"].into_iter().map(Value::from).collect();
    hook(
        &cx,
        HookPoint::SessionStartBefore,
        HookAction::modify("tags", tags),
    );
    hook(
        &cx,
        HookPoint::SessionCheckpointBefore,
        HookAction::modify("name", Value::from("renamed")),
    );
    let context = cx.context.clone();
    let (info, checkpoint) = wait(async move {
        let sessions = Sessions::new(project);
        let session = sessions.create(&context, SessionOptions::default()).await?;
        let checkpoint = session.checkpoint(&context, Some("first")).await?;
        session.complete(&context).await?;
        let info = session.info(&context).await?;
        sessions.resume(&context, session.id()).await?;
        Ok::<_, aikit_core::Error>((info, checkpoint))
    })
    .unwrap();
    assert_eq!(
        (info.status, info.tags),
        (Status::Completed, vec!["seen".to_owned()])
    );
    assert_eq!(checkpoint.name, "renamed");
    let expected = [
        "session.start.before",
        "session.start.after",
        "session.checkpoint.before",
        "session.checkpoint.after",
        "session.end.before",
        "session.end.after",
        "session.start.before",
        "session.start.after",
    ];
    assert_eq!(noting.points(), expected);
}

#[test]
fn a_stopped_session_does_not_begin() {
    let (project, _folder) = project();
    let cx = tool_context();
    hook(&cx, HookPoint::SessionStartBefore, HookAction::stop("full"));
    let created = wait(async move {
        let sessions = Sessions::new(project);
        let options = SessionOptions::default();
        sessions.create(&cx.context, options).await.map(drop)
    });
    assert_eq!(created.unwrap_err().kind(), ErrorKind::Denied);
}
