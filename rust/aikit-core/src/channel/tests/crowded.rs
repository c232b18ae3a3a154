//! Requests for which a subscriber has no room, and responses that take none.

use super::*;

/// A channel whose only subscriber answers nothing and has room for two events.
fn crowded(drop: DropPolicy) -> (Channel, ChannelSubscription) {
    let channel = channel();
    let options = QueueOptions { capacity: 2, drop };
    let subscription = channel.subscribe(options).unwrap();
    (channel, subscription)
}

#[test]
fn a_request_without_room_fails_at_once_and_names_the_capacity() {
    for (drop, lost) in [(DropPolicy::Oldest, 0), (DropPolicy::Newest, 2)] {
        let (channel, subscription) = crowded(drop);
        let asked: Vec<_> = (0..3)
            .map(|number| {
                let channel = channel.clone();
                let event = ChannelEvent::request(number.to_string(), Value::Null);
                let mut asking = Box::pin(async move { channel.request(None, event, None).await });
                let early = (&mut asking).now_or_never();
                (asking, early)
            })
            .collect();
        for (number, (asking, early)) in asked.into_iter().enumerate() {
            let answer = early.or_else(|| asking.now_or_never());
            assert_eq!(answer.is_some(), number == lost, "{drop:?} {number}");
            if let Some(answer) = answer {
                let error = answer.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::LimitExceeded);
                assert!(error.message().contains("`capacity` is `2`"), "{error}");
                assert!(error.hint().unwrap().contains("larger `capacity`"));
            }
        }
        assert_eq!((subscription.dropped(), channel.is_idle()), (1, false));
    }
}

#[test]
fn a_request_that_one_subscriber_has_room_for_goes_on() {
    let (channel, _full) = crowded(DropPolicy::Newest);
    let roomy = channel.subscribe(QueueOptions::default()).unwrap();
    for number in 0..3 {
        let event = ChannelEvent::request(number.to_string(), Value::Null);
        channel.publish(event).unwrap();
    }
    let mut waiting = Box::pin(channel.wait_for_response("2", None));
    assert!((&mut waiting).now_or_never().is_none());
    channel
        .publish(ChannelEvent::response("2", Value::Int(7)))
        .unwrap();
    let answer = waiting.now_or_never().unwrap().unwrap();
    assert_eq!(
        (answer.payload.clone(), roomy.waiting()),
        (Value::Int(7), 4)
    );
    // Who waits later than the loss is told it as well.
    let (channel, _full) = crowded(DropPolicy::Oldest);
    for number in 0..3 {
        let event = ChannelEvent::request(number.to_string(), Value::Null);
        channel.publish(event).unwrap();
    }
    let late = channel.wait_for_response("0", None).now_or_never();
    assert_eq!(late.unwrap().unwrap_err().kind(), ErrorKind::LimitExceeded);
}

#[test]
fn a_request_that_is_asked_again_is_lost_only_when_no_copy_of_it_is_left() {
    let (channel, subscription) = crowded(DropPolicy::Oldest);
    let ask = |id: &str| {
        let event = ChannelEvent::request(id, Value::Null);
        channel.publish(event).unwrap();
    };
    ask("again");
    ask("other");
    // There is no room for the first copy, but for this one.
    ask("again");
    let waiting = || channel.wait_for_response("again", None).now_or_never();
    assert!(waiting().is_none());
    ask("more");
    assert!(waiting().is_none());
    ask("and more");
    let error = waiting().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert_eq!(subscription.dropped(), 3);
}

#[test]
fn the_responses_of_a_function_take_no_place_in_its_own_queue() {
    let channel = channel();
    let (answering, seen) = (channel.clone(), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&seen);
    let options = QueueOptions::default();
    let listener = channel.listen(options, move |event| {
        noted.lock().unwrap().push(event.kind.clone());
        let answering = answering.clone();
        Box::pin(async move {
            let response = ChannelEvent::answering(&event, Value::Null)?;
            answering.publish(response).map(drop)
        })
    });
    let watching = channel.subscribe(options).unwrap();
    for number in 0..3 {
        let (channel, event) = (
            channel.clone(),
            ChannelEvent::request(number.to_string(), Value::Null),
        );
        wait(async move { channel.request(None, event, None).await }).unwrap();
    }
    // Who asked has its answer before those who watch.
    assert_eq!(wait(flush(channel.backlogs(), None)), 0);
    assert_eq!(*seen.lock().unwrap(), [REQUEST; 3]);
    assert_eq!((listener.unwrap().waiting(), watching.waiting()), (0, 6));
}
