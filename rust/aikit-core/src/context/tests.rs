//! What a Context hands down and what it keeps to itself.

use futures::FutureExt as _;

use super::{child::LEVELS_MAX, *};
use crate::{
    Error, ErrorKind, io,
    tracker::{Execution, Operation},
};

fn begin(cx: &Context, name: &str) -> Execution {
    Execution::begin(cx, &Operation::new(name)).unwrap()
}

#[test]
fn outside_a_run_there_is_no_context() {
    assert!(Context::try_get().is_none());
    assert_eq!(Context::get().unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_fork_sees_its_own_metadata_and_its_parents() {
    let parent = Context::create(Overrides {
        metadata: Map::from_iter([("a".to_owned(), Value::Int(1))]),
        ..Overrides::default()
    });
    let overrides = Overrides {
        metadata: Map::from_iter([("b".to_owned(), Value::Int(2))]),
        ..Overrides::default()
    };
    let forked = parent.clone();
    let seen = io::wait(
        async move { forked.fork(overrides, async { Context::get() }).await },
        || Ok(()),
    );
    let seen = seen.unwrap().unwrap();
    assert_eq!(seen.metadata().len(), 2);
    assert_eq!(seen.request_id(), parent.request_id());
    assert_eq!(parent.metadata().len(), 1);
}

#[test]
fn a_child_cannot_widen_the_caller_or_the_deadline() {
    let parent = Context::create(Overrides {
        caller: Some(Caller::Agent),
        timeout: Some(Duration::from_secs(1)),
        ..Overrides::default()
    });
    let child = parent.child(Overrides {
        caller: Some(Caller::User),
        timeout: Some(Duration::from_secs(100)),
        ..Overrides::default()
    });
    assert_eq!(child.caller(), Caller::Agent);
    assert!(child.remaining().unwrap() <= Duration::from_secs(1));
}

#[test]
fn a_childs_host_data_hides_its_parents() {
    let with = |host: HostData| Overrides {
        host: Some(host),
        ..Overrides::default()
    };
    let parent = Context::create(with(Arc::new(1_u32)));
    assert_eq!(
        parent.child(Overrides::default()).host::<u32>().as_deref(),
        Some(&1)
    );
    assert_eq!(
        parent.child(with(Arc::new(2_u32))).host::<u32>().as_deref(),
        Some(&2)
    );
    assert!(parent.host::<String>().is_none());
}

#[test]
fn cancelling_goes_down_with_its_reason_and_not_up() {
    let parent = Context::default();
    let (first, second) = (
        parent.child(Overrides::default()),
        parent.child(Overrides::default()),
    );
    first.cancel(ErrorKind::Cancelled, "not wanted");
    assert!(parent.check().is_ok() && second.check().is_ok());
    parent.cancel(ErrorKind::Interrupted, "stop was pressed");
    assert_eq!(second.check().unwrap_err().kind(), ErrorKind::Interrupted);
}

#[test]
fn waiting_ends_at_the_deadline_and_at_a_cancellation() {
    let late = Context::create(Overrides {
        timeout: Some(Duration::from_millis(5)),
        ..Overrides::default()
    });
    let waited = io::wait(
        async move { late.within(std::future::pending::<()>()).await },
        || Ok(()),
    );
    assert_eq!(waited.unwrap().unwrap_err().kind(), ErrorKind::Timeout);

    let context = Context::default();
    let waiting = context.clone();
    let task = io::spawn(async move { waiting.within(std::future::pending::<()>()).await });
    context.cancel(ErrorKind::Cancelled, "enough");
    let waited = io::wait(task, || Ok(())).unwrap().unwrap();
    assert_eq!(waited.unwrap_err().message(), "enough");
}

#[test]
fn a_time_limit_without_an_end_is_none() {
    let endless = || Overrides {
        timeout: Some(Duration::MAX),
        ..Overrides::default()
    };
    let parent = Context::create(endless());
    let child = parent.child(endless());
    assert_eq!((parent.remaining(), child.remaining()), (None, None));
    assert!(child.check().is_ok());
}

#[test]
fn a_child_keeps_only_roles_that_its_parent_has() {
    let parent = Context::create(Overrides {
        principal: Some(Principal {
            id: "ada".to_owned(),
            tenant_id: Some("t".to_owned()),
            roles: vec!["read".to_owned(), "write".to_owned()],
        }),
        ..Overrides::default()
    });
    let asked = |roles: &[&str]| Overrides {
        principal: Some(Principal::default()),
        roles: Some(roles.iter().map(|&role| role.to_owned()).collect()),
        ..Overrides::default()
    };
    let child = parent.child(asked(&["write", "admin"]));
    assert_eq!(
        (child.principal().id.as_str(), &child.principal().roles[..]),
        ("ada", &["write".to_owned()][..])
    );
    assert!(child.child(asked(&["read"])).principal().roles.is_empty());
    assert_eq!(parent.principal().roles.len(), 2);
}

#[test]
fn identities_that_others_cannot_read_are_refused() {
    let check = |trace_id: Option<&str>, request_id: Option<&str>| {
        let overrides = Overrides {
            trace_id: trace_id.map(str::to_owned),
            request_id: request_id.map(str::to_owned),
            ..Overrides::default()
        };
        overrides
            .validate()
            .err()
            .map(|error| error.message().to_owned())
    };
    assert_eq!(
        check(Some("4bf92f3577b34da6a3ce929d0e0e4736"), Some("r")),
        None
    );
    for id in [
        "",
        "4BF92F3577B34DA6A3CE929D0E0E4736",
        "00000000000000000000000000000000",
        "x",
    ] {
        assert!(check(Some(id), None).unwrap().contains(&format!("`{id}`")));
    }
    for (tick, is_one) in [(Some(0), false), (Some(1), true), (None, true)] {
        let overrides = Overrides {
            tick,
            ..Overrides::default()
        };
        assert_eq!(overrides.validate().is_ok(), is_one, "{tick:?}");
    }
    for id in [String::new(), "r".repeat(257)] {
        assert!(
            check(None, Some(&id))
                .unwrap()
                .contains(&format!("{} bytes", id.len()))
        );
    }
}

#[test]
fn what_outlives_a_call_has_its_principal_and_the_end_of_the_session() {
    let principal = |id: &str, roles: &[&str]| Principal {
        id: id.to_owned(),
        tenant_id: Some("t".to_owned()),
        roles: roles.iter().map(|it| (*it).to_owned()).collect(),
    };
    let session = Context::create(Overrides {
        principal: Some(principal("owner", &["admin", "reader"])),
        ..Overrides::default()
    });
    let call = session.root_child(Overrides {
        principal: Some(principal("guest", &["admin", "reader"])),
        timeout: Some(Duration::from_secs(1)),
        tick: Some(3),
        ..Overrides::default()
    });
    let call = call.child(Overrides {
        roles: Some(vec!["reader".to_owned()]),
        caller: Some(Caller::Agent),
        metadata: Map::from_iter([(CONVERSATION.to_owned(), Value::from("c"))]),
        host: Some(Arc::new(1_u32)),
        ..Overrides::default()
    });
    let later = call.outliving(&session, None);
    assert_eq!(later.principal(), &principal("guest", &["reader"]));
    assert_eq!(later.caller(), Caller::Agent);
    assert_eq!(later.metadata(), call.metadata());
    assert_eq!(later.request_id(), call.request_id());
    assert!(Arc::ptr_eq(later.events(), call.events()));
    assert!(later.remaining().is_none() && later.tick().is_none());
    assert!(later.host::<u32>().is_none() && !Arc::ptr_eq(later.graph(), call.graph()));
    assert!(!later.is_inside_call());
    call.cancel(ErrorKind::Cancelled, "over");
    later.check().unwrap();
    session.cancel(ErrorKind::Cancelled, "closed");
    assert_eq!(later.check().unwrap_err().message(), "closed");
}

#[test]
fn what_begins_inside_of_a_call_stays_inside_in_a_graph_of_its_own_and_after_it() {
    let session = Context::default();
    let call = begin(&session, "call");
    let root = call.context().root_child(Overrides::default());
    assert!(!session.is_inside_call() && root.node().is_none());
    let later = root.outliving(&session, None);
    let again = later.root_child(Overrides::default());
    let last = again.outliving(&session, None);
    for cx in [call.context(), &root, &later, &again, &last] {
        assert!(cx.is_inside_call());
    }
}

#[test]
fn a_request_of_its_own_has_its_identities_and_no_place_in_the_trace_around() {
    let parent = format!("00-{}-{}-01", "a".repeat(32), "b".repeat(16));
    let place = |it: &str| Map::from_iter([(TRACEPARENT.to_owned(), Value::from(it))]);
    let around = Context::create(Overrides {
        metadata: place(&parent),
        ..Overrides::default()
    });
    let own = [(); 2].map(|()| around.request_child(Overrides::default()));
    for (one, other) in [(&own[0], &own[1]), (&own[0], &around)] {
        assert_ne!(one.request_id(), other.request_id());
        assert_ne!(one.trace_id(), other.trace_id());
    }
    assert_eq!(own[0].metadata().get(TRACEPARENT), None);
    let continued = around.request_child(Overrides {
        metadata: place(&parent.replace('a', "c")),
        ..Overrides::default()
    });
    assert_eq!(continued.trace_id(), "c".repeat(32));
    assert_eq!(
        around.root_child(Overrides::default()).trace_id(),
        around.trace_id()
    );
    let named = around.request_child(Overrides {
        request_id: Some("r".to_owned()),
        trace_id: Some("d".repeat(32)),
        ..Overrides::default()
    });
    assert_eq!(
        (named.request_id(), named.trace_id()),
        ("r", &*"d".repeat(32))
    );
}

#[test]
fn a_cancelled_execution_takes_along_what_it_called_and_not_its_caller() {
    let root = Context::default();
    let above = begin(&root, "above");
    let own = begin(above.context(), "own");
    let sibling = begin(above.context(), "sibling");
    let below = begin(&own.context().child(Overrides::default()), "below");
    // Told to who began to wait before, and to who did not.
    let waiting = below.context().clone();
    let mut waits = std::pin::pin!(waiting.stopped());
    assert!(waits.as_mut().now_or_never().is_none());
    own.context().cancel(ErrorKind::Cancelled, "enough");
    assert_eq!(waits.now_or_never().unwrap().message(), "enough");
    for cx in [own.context(), below.context()] {
        assert_eq!(cx.check().unwrap_err().message(), "enough");
    }
    for cx in [&root, above.context(), sibling.context()] {
        assert!(cx.check().is_ok());
        assert!(cx.stopped().now_or_never().is_none());
    }
    root.cancel(ErrorKind::Cancelled, "all");
    assert_eq!(sibling.context().check().unwrap_err().message(), "all");
}

#[test]
fn a_chain_of_children_may_be_longer_than_a_stack_is_deep() {
    let root = Context::default();
    let (mut middle, mut last) = (root.clone(), root.clone());
    for level in 0..100_000 {
        last = last.child(Overrides::default());
        if level == 50_000 {
            middle = last.clone();
        }
    }
    let mut waits = std::pin::pin!(last.stopped());
    assert!(waits.as_mut().now_or_never().is_none());
    last.child(Overrides::default())
        .cancel(ErrorKind::Cancelled, "below");
    assert!(last.check().is_ok());
    middle.cancel(ErrorKind::Cancelled, "enough");
    assert_eq!(waits.now_or_never().unwrap().message(), "enough");
    assert_eq!(last.check().unwrap_err().message(), "enough");
    assert!(root.check().is_ok() && middle.check().is_err());
    assert!(format!("{last:?}").len() < 10_000);
}

#[test]
fn a_program_makes_a_bounded_number_of_contexts_below_each_other() {
    let mut cx = Context::default();
    let error = loop {
        match cx.checked_parent() {
            Ok(parent) => cx = parent.child(Overrides::default()),
            Err(error) => break error,
        }
    };
    assert_eq!(cx.0.cancel.level(), LEVELS_MAX);
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.hint().is_some() && cx.check().is_ok());
}

#[test]
fn what_runs_below_a_silent_context_is_silent() {
    let cx = Context::default();
    let silent = cx.child(Overrides {
        silent: true,
        ..Overrides::default()
    });
    let below = silent.root_child(Overrides::default());
    assert!(!cx.is_silent() && silent.is_silent() && below.is_silent());
    assert!(below.child(Overrides::default()).is_silent());
}

#[test]
fn the_trace_of_a_caller_elsewhere_goes_on() {
    let (trace, span) = ("ab".repeat(16), "cd".repeat(8));
    let header = format!("00-{trace}-{span}-01");
    let continued = |trace_id: Option<&str>, header: &str| {
        let mut overrides = Overrides {
            trace_id: trace_id.map(str::to_owned),
            ..Overrides::default()
        };
        overrides.continue_trace(header)?;
        Ok::<_, Error>(Context::default().child(overrides))
    };
    for trace_id in [None, Some(&*trace)] {
        let cx = continued(trace_id, &format!(" {header}\n")).unwrap();
        assert_eq!(cx.trace_id(), trace);
        assert_eq!(
            cx.metadata().get("traceparent"),
            Some(&Value::from(&*header))
        );
    }
    for (trace_id, header) in [(None, "00-x"), (Some(&*"ef".repeat(16)), &*header)] {
        let error = continued(trace_id, header).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgs);
        assert!(error.message().contains("`traceparent`") && error.hint().is_some());
    }
}

#[test]
fn forks_of_one_execution_count_for_themselves_and_for_it() {
    let cx = Context::default();
    let outer = begin(&cx, "outer");
    let outer = outer.context();
    let [first, second] = [0, 1].map(|_| outer.child(Overrides::default()));
    first.metrics().add("pages", 2.0);
    second.metrics().add("pages", 3.0);
    first.metrics().set("latency_ms", 10.0).unwrap();
    second.metrics().set("latency_ms", 20.0).unwrap();
    let of = |cx: &Context, name| cx.metrics().get(name);
    assert_eq!((of(&first, "pages"), of(&second, "pages")), (2.0, 3.0));
    assert_eq!(
        (of(&first, "latency_ms"), of(&second, "latency_ms")),
        (10.0, 20.0)
    );
    // What was added counts around at once; what was set is its own.
    assert_eq!((of(outer, "pages"), of(outer, "latency_ms")), (5.0, 0.0));
    // What is called in a fork counts there, and around, once.
    let inner = begin(&first, "inner");
    inner.context().metrics().add("pages", 10.0);
    inner
        .context()
        .child(Overrides::default())
        .metrics()
        .add("pages", 1.0);
    assert_eq!((of(&first, "pages"), of(outer, "pages")), (2.0, 5.0));
    inner.end(None);
    assert_eq!(
        (
            of(&first, "pages"),
            of(&second, "pages"),
            of(outer, "pages")
        ),
        (13.0, 3.0, 16.0)
    );
    // A fork of a fork is no other than a fork.
    let below = second.child(Overrides::default());
    below.metrics().add("pages", 1.0);
    let sums = [&below, &second, outer].map(|cx| of(cx, "pages"));
    assert_eq!(<(f64, f64, f64)>::from(sums), (1.0, 4.0, 17.0));
    // A part is the same place.
    let part = second.part(Overrides::default());
    part.metrics().set("latency_ms", 30.0).unwrap();
    assert_eq!(
        (of(&second, "latency_ms"), of(&part, "latency_ms")),
        (30.0, 30.0)
    );
    // A graph of its own has nothing to do with it.
    let apart = outer.root_child(Overrides::default());
    apart.metrics().add("pages", 1.0);
    assert_eq!((of(&apart, "pages"), of(outer, "pages")), (1.0, 17.0));
}

#[test]
fn a_child_shares_events_graph_channels_and_cancellation_and_owns_node_origin_and_metrics() {
    let parent = Context::create(Overrides {
        channels: Some(Arc::new(Channels::default())),
        ..Overrides::default()
    });
    let children = [0, 1].map(|_| parent.child(Overrides::default()));
    for child in &children {
        assert!(Arc::ptr_eq(parent.events(), child.events()));
        assert!(Arc::ptr_eq(parent.graph(), child.graph()));
        let channels = [&parent, child].map(|cx| Arc::as_ptr(cx.channels().unwrap()).cast::<()>());
        assert_eq!(channels[0], channels[1]);
        child.metrics().add("x", 1.0);
    }
    let counted = [&parent, &children[0], &children[1]].map(|cx| cx.metrics().get("x"));
    assert_eq!(<(f64, f64, f64)>::from(counted), (0.0, 1.0, 1.0));
    // Node and origin of what begins in one are those of nobody else.
    let [first, second] = children.each_ref().map(|child| begin(child, "root"));
    let below = begin(first.context(), "below");
    let places = [&first, &second, &below].map(Execution::context);
    let nodes = places.map(|cx| cx.node().unwrap().pid);
    let origins = places.map(|cx| cx.origin().unwrap().pid);
    assert_ne!(nodes[0], nodes[1]);
    assert_eq!(origins, [nodes[0], nodes[1], nodes[0]]);
    for cx in [&parent, &children[0], &children[1]] {
        assert!(cx.node().is_none() && cx.origin().is_none());
    }
    // Cancellation goes down only.
    children[0].cancel(ErrorKind::Cancelled, "this one");
    assert!(places[0].is_cancelled() && places[2].is_cancelled());
    assert!(!parent.is_cancelled() && !places[1].is_cancelled());
    parent.cancel(ErrorKind::Cancelled, "all");
    assert!(children[1].is_cancelled() && places[1].is_cancelled());
}

#[test]
fn a_long_chain_of_children_counts_and_is_dropped() {
    let outer = begin(&Context::default(), "outer");
    let first = outer.context();
    let mut last = first.clone();
    for _ in 0..LEVELS_MAX {
        last = last.child(Overrides::default());
    }
    last.metrics().add("x", 1.0);
    assert_eq!(
        (first.metrics().get("x"), last.metrics().get("x")),
        (1.0, 1.0)
    );
    drop(last);
}
