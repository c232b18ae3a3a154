//! Channels: names, subscribers, requests and responses, bounds.

mod crowded;

use futures::FutureExt as _;

use super::{
    responses::{REMEMBERED_BYTES_MAX, REMEMBERED_MAX, WAITS_MAX},
    *,
};
use crate::{
    Value,
    broadcast::{DropPolicy, Weigh as _, flush},
    clock::SystemClock,
    io,
    value::Map,
};

fn channel() -> Channel {
    Channel::new("user:input", Arc::new(SystemClock)).unwrap()
}

fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    io::wait(future, || Ok(())).unwrap()
}

/// Starts a wait that has begun when this returns.
fn waiting(channel: &Channel, id: &'static str) -> tokio::task::JoinHandle<Result<i64>> {
    let waiting = channel.clone();
    let mut wait = Box::pin(async move {
        let response = waiting.wait_for_response(id, None).await?;
        Ok(response.payload.as_i64().unwrap())
    });
    assert!((&mut wait).now_or_never().is_none());
    io::spawn(wait)
}

#[test]
fn names_are_normalised_and_bad_ones_refused() {
    for (given, expected) in [
        ("ui:progress", "ui:progress"),
        ("  UI:Progress\n", "ui:progress"),
        ("ÄÖ", "äö"),
        ("a b", "a b"),
    ] {
        assert_eq!(normalize_name(given).unwrap(), expected);
    }
    let long = "x".repeat(NAME_BYTES_MAX + 1);
    for wrong in ["", "  ", "a\0b", "ui:*", &long] {
        let error = normalize_name(wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgs);
        assert!(
            error.hint().is_some() && error.message().len() < 200,
            "{error}"
        );
    }
}

#[test]
fn a_published_event_reaches_each_subscriber_with_channel_and_time() {
    let channel = channel();
    let one = channel.subscribe(QueueOptions::default()).unwrap();
    let two = channel.subscribe(QueueOptions::default()).unwrap();
    assert_eq!(channel.subscriber_count(), 2);
    let event = ChannelEvent::new("update", Value::Int(1));
    assert_eq!(channel.publish(event.clone()).unwrap(), 1);
    for subscription in [&one, &two] {
        let seen = subscription.try_next().unwrap();
        assert_eq!(
            (&*seen.channel, &seen.payload),
            ("user:input", &event.payload)
        );
        assert!(seen.metadata.timestamp.is_some());
    }
    drop((one, two));
    assert_eq!(channel.subscriber_count(), 0);
}

#[test]
fn a_slow_subscriber_loses_events_and_the_publisher_goes_on() {
    let channel = channel();
    let options = QueueOptions {
        capacity: 2,
        ..QueueOptions::default()
    };
    let slow = channel.subscribe(options).unwrap();
    for number in 0..5 {
        channel
            .publish(ChannelEvent::new("x", Value::Int(number)))
            .unwrap();
    }
    assert_eq!(slow.dropped(), 3);
    assert_eq!(slow.try_next().unwrap().payload, Value::Int(3));
}

#[test]
fn a_response_before_the_wait_is_delivered_and_to_every_later_wait() {
    let channel = channel();
    channel
        .publish(ChannelEvent::response("1", Value::Int(7)))
        .unwrap();
    for _ in 0..2 {
        let waited = channel.wait_for_response("1", None).now_or_never();
        assert_eq!(waited.unwrap().unwrap().payload, Value::Int(7));
    }
    // A new request with the id is another conversation.
    channel
        .publish(ChannelEvent::request("1", Value::Null))
        .unwrap();
    assert!(
        channel
            .wait_for_response("1", None)
            .now_or_never()
            .is_none()
    );
}

#[test]
fn several_waits_at_once_get_their_own_responses_and_one_id_may_be_awaited_twice() {
    let channel = channel();
    let waits = [
        waiting(&channel, "a"),
        waiting(&channel, "b"),
        waiting(&channel, "a"),
    ];
    for (id, number) in [("b", 2), ("c", 3), ("a", 1)] {
        channel
            .publish(ChannelEvent::response(id, Value::Int(number)))
            .unwrap();
    }
    let answers = waits.map(|it| wait(it).unwrap().unwrap());
    assert_eq!(answers, [1, 2, 1]);
    assert!(channel.is_idle());
}

#[test]
fn only_a_response_answers() {
    let channel = channel();
    let waits = waiting(&channel, "1");
    let mut update = ChannelEvent::request("1", Value::Int(1));
    channel.publish(update.clone()).unwrap();
    update.kind = "update".to_owned();
    channel.publish(update).unwrap();
    channel
        .publish(ChannelEvent::response("1", Value::Int(2)))
        .unwrap();
    assert_eq!(wait(waits).unwrap().unwrap(), 2);
}

#[test]
fn destroy_rejects_waits_ends_subscriptions_and_refuses_later_calls() {
    let channel = channel();
    let subscription = channel.subscribe(QueueOptions::default()).unwrap();
    let waits = [waiting(&channel, "a"), waiting(&channel, "b")];
    channel
        .publish(ChannelEvent::new("last", Value::Null))
        .unwrap();
    channel.destroy();
    for waits in waits {
        let error = wait(waits).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert!(error.message().contains("user:input") && error.message().contains("destroyed"));
    }
    assert_eq!(
        subscription.next().now_or_never().unwrap().unwrap().kind,
        "last"
    );
    assert!(subscription.next().now_or_never().unwrap().is_none());
    let late = channel.wait_for_response("c", None).now_or_never().unwrap();
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Cancelled);
    let published = channel.publish(ChannelEvent::new("x", Value::Null));
    assert_eq!(published.unwrap_err().kind(), ErrorKind::Unavailable);
    let subscribed = channel.subscribe(QueueOptions::default());
    assert!(subscribed.unwrap_err().hint().is_some());
}

#[test]
fn a_wait_ends_at_its_time_limit_and_is_forgotten() {
    let channel = channel();
    let waiting = channel.clone();
    let limit = Some(Duration::from_millis(5));
    let waited = wait(async move { waiting.wait_for_response("1", limit).await });
    let error = waited.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.message().contains("`1`") && error.hint().unwrap().contains("nobody"));
    assert!(channel.is_idle());
}

#[test]
fn a_dropped_wait_is_forgotten() {
    let channel = channel();
    assert!(
        channel
            .wait_for_response("1", None)
            .now_or_never()
            .is_none()
    );
    assert!(channel.is_idle());
}

#[test]
fn remembered_responses_are_bounded_and_the_loss_is_counted() {
    let channel = channel();
    let ids: Vec<String> = (0..REMEMBERED_MAX + 2).map(|it| it.to_string()).collect();
    for id in &ids[..REMEMBERED_MAX] {
        channel
            .publish(ChannelEvent::response(id, Value::Null))
            .unwrap();
    }
    let read = |id: &str| {
        let waited = channel.wait_for_response(id, None).now_or_never();
        waited.is_some_and(|it| it.is_ok())
    };
    // Who has it does not miss it.
    assert!(read(&ids[3]));
    channel
        .publish(ChannelEvent::response(&ids[REMEMBERED_MAX], Value::Null))
        .unwrap();
    assert!(!read(&ids[3]) && read(&ids[0]) && channel.lost_responses() == 0);
    channel
        .publish(ChannelEvent::response(
            &ids[REMEMBERED_MAX + 1],
            Value::Null,
        ))
        .unwrap();
    assert!(!read(&ids[0]) && read(&ids[1]) && channel.lost_responses() == 0);
}

#[test]
fn remembered_responses_are_bounded_in_bytes_and_the_last_stays() {
    let channel = channel();
    let respond = |id: &str, bytes: usize| {
        let mut event = ChannelEvent::response(id, Value::Null);
        // Where it is large makes no difference.
        event.metadata.extra = Map::from_iter([("x".to_owned(), Value::from("y".repeat(bytes)))]);
        channel.publish(event).unwrap();
    };
    let is_there = |id: &str| {
        let waited = channel.wait_for_response(id, None).now_or_never();
        waited.is_some_and(|it| it.is_ok())
    };
    for id in ["1", "2", "3"] {
        respond(id, REMEMBERED_BYTES_MAX * 2 / 5);
    }
    assert!(!is_there("1") && is_there("3") && channel.lost_responses() == 1);
    respond("4", REMEMBERED_BYTES_MAX * 2);
    assert!(!is_there("2") && !is_there("3") && is_there("4"));
    respond("5", 1);
    assert!(!is_there("4") && is_there("5"));
}

#[test]
fn an_event_weighs_what_it_carries_wherever_that_stands() {
    let text = "x".repeat(1_000);
    let large = || Map::from_iter([(text.clone(), Value::from(&*text))]);
    let weight = |change: fn(&mut ChannelEvent, Map, String)| {
        let mut event = ChannelEvent::request("1", Value::Null);
        change(&mut event, large(), text.clone());
        event.weight()
    };
    let empty = weight(|_, _, _| {});
    for (change, least) in [
        (
            (|it, map, _| it.metadata.extra = map) as fn(&mut ChannelEvent, Map, String),
            1_900,
        ),
        (|it, _, text| it.metadata.source = Some(text), 900),
        (|it, _, text| it.metadata.execution_id = Some(text), 900),
        (
            |it, _, text| it.metadata.source_connection_id = Some(text),
            900,
        ),
        (|it, _, text| it.kind = text, 900),
        (|it, map, _| it.target = Some(Value::Map(map)), 1_900),
    ] {
        assert!(weight(change) >= empty + least);
    }
}

#[test]
fn waits_are_bounded_and_ids_checked() {
    let channel = channel();
    let mut waits: Vec<_> = (0..WAITS_MAX)
        .map(|_| Box::pin(channel.wait_for_response("1", None)))
        .collect();
    for wait in &mut waits {
        assert!(wait.now_or_never().is_none());
    }
    let refused = channel.wait_for_response("2", None).now_or_never();
    assert_eq!(
        refused.unwrap().unwrap_err().kind(),
        ErrorKind::LimitExceeded
    );
    drop(waits);
    assert!(channel.is_idle());
    let long = "x".repeat(ID_BYTES_MAX + 1);
    for id in ["", &long] {
        let waited = channel.wait_for_response(id, None).now_or_never().unwrap();
        assert_eq!(waited.unwrap_err().kind(), ErrorKind::InvalidArgs);
        assert!(
            channel
                .publish(ChannelEvent::response(id, Value::Null))
                .is_err()
        );
    }
}

/// Requests from several threads at once, answered by a listener: each gets its own answer.
#[test]
fn many_conversations_at_once_never_mix() {
    const THREADS: i64 = 4;
    const REQUESTS: i64 = 200;
    let channel = channel();
    let answering = channel.clone();
    let options = QueueOptions {
        capacity: 1 << 12,
        ..QueueOptions::default()
    };
    let listener = channel.listen(options, move |event| {
        let answering = answering.clone();
        Box::pin(async move {
            if event.kind == REQUEST {
                let id = event.id.clone().unwrap_or_default();
                answering.publish(ChannelEvent::response(id, event.payload.clone()))?;
            }
            Ok(())
        })
    });
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let channel = channel.clone();
            std::thread::spawn(move || {
                for number in 0..REQUESTS {
                    let payload = Value::Int(thread * REQUESTS + number);
                    let id = format!("{thread}/{number}");
                    channel
                        .publish(ChannelEvent::request(&id, payload.clone()))
                        .unwrap();
                    let channel = channel.clone();
                    let response = wait(async move { channel.wait_for_response(&id, None).await });
                    assert_eq!(response.unwrap().payload, payload);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let listener = listener.unwrap();
    assert_eq!((listener.failed(), listener.dropped()), (0, 0));
}

#[test]
fn an_event_survives_the_way_through_a_value() {
    let map = Value::map([
        ("type", Value::from("request")),
        ("id", Value::from("1")),
        ("payload", Value::Float(1.0)),
        (
            "metadata",
            Value::map([
                ("source", Value::from("ui")),
                ("execution_id", Value::from("p1")),
                ("tick", Value::Int(3)),
                ("source_connection_id", Value::from("c1")),
                ("theme", Value::from("dark")),
            ]),
        ),
        ("target", Value::map([("connection_id", Value::from("c2"))])),
    ]);
    let event = ChannelEvent::from_value(&map).unwrap();
    assert_eq!(event.target_connection(), Some("c2"));
    assert_eq!(
        event.metadata.extra,
        Map::from_iter([("theme".to_owned(), "dark".into())])
    );
    assert_eq!(ChannelEvent::from_value(&event.to_value()).unwrap(), event);
}

#[test]
fn an_event_that_is_none_is_refused_by_what_is_wrong() {
    let cases = [
        (Value::Int(1), "event"),
        (Value::Map(Map::new()), "type"),
        (Value::map([("type", Value::Int(1))]), "type"),
        (Value::map([("type", Value::from(""))]), "type"),
        (
            Value::map([("type", Value::from("a")), ("data", Value::Null)]),
            "data",
        ),
        (
            Value::map([("type", Value::from("a")), ("id", Value::Int(1))]),
            "id",
        ),
        (
            Value::map([("type", Value::from("a")), ("target", Value::Int(1))]),
            "target",
        ),
        (
            Value::map([("type", Value::from("a")), ("metadata", Value::Int(1))]),
            "metadata",
        ),
    ];
    for (value, named) in cases {
        let error = ChannelEvent::from_value(&value).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgs);
        assert!(
            error.message().contains(named) && error.hint().is_some(),
            "{error}"
        );
    }
}

#[test]
fn a_session_gives_one_channel_a_name_and_makes_a_destroyed_one_anew() {
    let session = ChannelSession::new("s".to_owned(), Arc::new(SystemClock));
    let channel = session.get_channel("UI:Progress ").unwrap();
    let _one = channel.subscribe(QueueOptions::default()).unwrap();
    assert_eq!(
        session
            .get_channel("ui:progress")
            .unwrap()
            .subscriber_count(),
        1
    );
    assert_eq!(session.channel_names(), ["ui:progress"]);
    assert!(session.find_channel("other").is_none());
    assert!(session.remove_channel(" ui:progress") && !session.remove_channel("ui:progress"));
    assert!(channel.is_destroyed());
    assert!(!session.get_channel("ui:progress").unwrap().is_destroyed());
    let again = session.get_channel("ui:progress").unwrap();
    session.destroy();
    assert!(again.is_destroyed() && session.channel_names().is_empty());
}

#[test]
fn channels_of_a_session_are_bounded_and_idle_ones_make_room() {
    let session = ChannelSession::new("s".to_owned(), Arc::new(SystemClock));
    let held: Vec<Channel> = (0..CHANNELS_MAX)
        .map(|number| session.get_channel(&number.to_string()).unwrap())
        .collect();
    let refused = session.get_channel("more").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LimitExceeded);
    drop(held);
    assert!(session.get_channel("more").is_ok());
}
