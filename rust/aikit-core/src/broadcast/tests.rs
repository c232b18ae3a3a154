//! The broadcast: order, bounds, ends, listeners.

use std::{
    sync::mpsc,
    task::{Context as TaskContext, Wake, Waker},
};

use futures::FutureExt as _;

use super::*;
use crate::io;

fn subscribe(
    bus: &Broadcast<u64>,
    capacity: usize,
    drop: DropPolicy,
) -> BroadcastSubscription<u64> {
    bus.subscribe(QueueOptions { capacity, drop }, None)
}

fn read(subscription: &BroadcastSubscription<u64>) -> Vec<u64> {
    std::iter::from_fn(|| subscription.try_next().map(|it| *it)).collect()
}

fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    io::wait(future, || Ok(())).unwrap()
}

#[test]
fn a_full_queue_drops_by_its_policy_and_counts() {
    let bus = Broadcast::default();
    let latest = subscribe(&bus, 2, DropPolicy::Oldest);
    let first = subscribe(&bus, 2, DropPolicy::Newest);
    for _ in 0..5 {
        bus.publish(|number| number);
    }
    assert_eq!((read(&latest), latest.dropped()), (vec![4, 5], 3));
    assert_eq!((read(&first), first.dropped()), (vec![1, 2], 3));
}

#[test]
fn a_filter_costs_no_room_and_no_loss() {
    let bus = Broadcast::default();
    let options = QueueOptions {
        capacity: 2,
        ..QueueOptions::default()
    };
    let even = bus.subscribe(options, Some(Box::new(|it: &u64| it.is_multiple_of(2))));
    for _ in 0..5 {
        bus.publish(|number| number);
    }
    assert_eq!((read(&even), even.dropped()), (vec![2, 4], 0));
}

#[test]
fn nothing_is_made_when_nobody_listens() {
    let bus = Broadcast::<u64>::default();
    let made = |_| unreachable!("nobody listens");
    assert_eq!(bus.publish(made), Some(1));
    drop(bus.subscribe(QueueOptions::default(), None));
    assert_eq!(bus.subscriber_count(), 0);
    assert_eq!(bus.sequence(), 1);
}

#[test]
fn a_close_gives_what_waits_and_then_the_end() {
    let bus = Broadcast::default();
    let subscription = subscribe(&bus, 8, DropPolicy::Oldest);
    bus.publish(|number| number);
    bus.close();
    assert_eq!(bus.publish(|number| number), None);
    assert_eq!(
        subscription.next().now_or_never().unwrap().as_deref(),
        Some(&1)
    );
    assert!(subscription.next().now_or_never().unwrap().is_none());
    let late = subscribe(&bus, 8, DropPolicy::Oldest);
    assert!(late.next().now_or_never().unwrap().is_none());
}

#[test]
fn a_close_and_an_end_of_the_bus_wake_who_waits() {
    for ends_itself in [true, false] {
        let bus = Broadcast::<u64>::default();
        let subscription = Arc::new(subscribe(&bus, 8, DropPolicy::Oldest));
        let waiting = io::spawn({
            let subscription = Arc::clone(&subscription);
            async move { subscription.next().await.is_none() }
        });
        if ends_itself {
            bus.close();
        } else {
            drop(bus);
        }
        assert!(wait(waiting).unwrap());
    }
}

#[test]
fn a_capacity_out_of_range_and_an_unknown_policy_are_refused() {
    let bus = Broadcast::<u64>::default();
    for capacity in [0, CAPACITY_MAX + 1] {
        let options = QueueOptions {
            capacity,
            ..QueueOptions::default()
        };
        let error = bus.try_subscribe(options, None).unwrap_err();
        assert!(error.message().contains(&capacity.to_string()), "{error}");
    }
    assert!(DropPolicy::parse("latest").unwrap_err().hint().is_some());
}

/// Publishers on several threads, readers that are slow at random: whatever the interleaving,
/// each reader sees rising numbers, and what it read and lost is all there was.
#[test]
fn every_reader_sees_its_items_in_order_and_each_loss_is_counted() {
    const PUBLISHERS: u64 = 4;
    const ITEMS: u64 = 2_000;
    for (round, capacity) in [1, 3, 64, 20_000].into_iter().enumerate() {
        let bus = Arc::new(Broadcast::default());
        let readers: Vec<_> = (0..3)
            .map(|reader| {
                let subscription = subscribe(&bus, capacity, DropPolicy::Oldest);
                let mut state = (round as u64 + 1) * 7 + reader;
                io::spawn(async move {
                    let mut seen = Vec::new();
                    while let Some(item) = subscription.next().await {
                        seen.push(*item);
                        state = state
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1);
                        if state >> 61 == 0 {
                            tokio::task::yield_now().await;
                        }
                    }
                    (seen, subscription.dropped())
                })
            })
            .collect();
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|_| {
                let bus = Arc::clone(&bus);
                std::thread::spawn(move || {
                    for _ in 0..ITEMS {
                        bus.publish(|number| number);
                    }
                })
            })
            .collect();
        for publisher in publishers {
            publisher.join().unwrap();
        }
        bus.close();
        for reader in readers {
            let (seen, dropped) = wait(reader).unwrap();
            assert!(seen.is_sorted_by(|a, b| a < b));
            assert_eq!(seen.len() as u64 + dropped, PUBLISHERS * ITEMS);
            if capacity as u64 > PUBLISHERS * ITEMS {
                assert_eq!(dropped, 0);
            }
        }
    }
}

#[test]
fn a_function_that_fails_or_panics_harms_only_its_own_call() {
    let bus = Broadcast::default();
    let (sender, seen) = mpsc::channel();
    let troubled = listen(
        subscribe(&bus, 8, DropPolicy::Oldest),
        "troubled",
        move |item| {
            assert!(*item != 1, "as wanted");
            let sender = sender.clone();
            Box::pin(async move {
                assert!(*item != 2, "as wanted");
                sender.send(*item).unwrap();
                // Whatever kind it is of, of the function or of what it called.
                let kinds = [ErrorKind::Unavailable, ErrorKind::ToolFailed];
                Err(Error::new(kinds[usize::from(*item != 3)], "as wanted"))
            })
        },
    );
    let (sender, others) = mpsc::channel();
    let _healthy = listen(
        subscribe(&bus, 8, DropPolicy::Oldest),
        "healthy",
        move |item| {
            sender.send(*item).unwrap();
            Box::pin(std::future::ready(Ok(())))
        },
    );
    for _ in 0..4 {
        bus.publish(|number| number);
    }
    assert_eq!(seen.iter().take(2).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(others.iter().take(4).collect::<Vec<_>>(), [1, 2, 3, 4]);
    bus.close();
    // The functions, and what they send with, go with their tasks.
    assert!(seen.recv().is_err() && others.recv().is_err());
    assert_eq!(troubled.failed(), 4);
}

#[test]
fn a_listener_ends_with_its_stop_its_guard_and_where_its_function_is_gone() {
    type Stop = fn(&Listener);
    let stops: [Stop; 3] = [Listener::stop, |it| drop(it.guard()), |_| {}];
    for (round, stop) in stops.into_iter().enumerate() {
        let bus = Broadcast::default();
        let (sender, ended) = mpsc::channel::<()>();
        let listener = listen(subscribe(&bus, 8, DropPolicy::Oldest), "it", move |_| {
            let _held = &sender;
            let gone = Error::new(ErrorKind::Unavailable, "the engine has ended");
            let gone = gone.with_source(FunctionGone);
            Box::pin(std::future::ready(Err(gone)))
        });
        stop(&listener);
        if round == 2 {
            bus.publish(|number| number);
        }
        assert!(ended.recv().is_err());
        assert!(listener.is_stopped());
        bus.publish(|number| number);
        assert_eq!(bus.subscriber_count(), 0);
    }
}

impl Weigh for u64 {
    fn weight(&self) -> usize {
        size_of::<Self>()
    }
}

/// A listener whose function waits at each item until it is let go on.
fn held(bus: &Broadcast<u64>) -> (Listener, mpsc::Receiver<u64>, Arc<tokio::sync::Semaphore>) {
    let (sender, seen) = mpsc::channel();
    let go_on = Arc::new(tokio::sync::Semaphore::new(0));
    let gate = Arc::clone(&go_on);
    let listener = listen(subscribe(bus, 8, DropPolicy::Oldest), "it", move |item| {
        let (sender, gate) = (sender.clone(), Arc::clone(&gate));
        Box::pin(async move {
            sender.send(*item).unwrap();
            gate.acquire().await.unwrap().forget();
            Ok(())
        })
    });
    (listener, seen, go_on)
}

#[test]
fn a_flush_waits_for_what_was_published_before_and_for_no_more() {
    let bus = Broadcast::default();
    let (_listener, seen, go_on) = held(&bus);
    let mut flushing = Box::pin(flush(bus.backlogs(), None));
    assert_eq!((&mut flushing).now_or_never(), Some(0));
    bus.publish(|number| number);
    bus.publish(|number| number);
    let mut flushing = Box::pin(flush(bus.backlogs(), None));
    assert!((&mut flushing).now_or_never().is_none());
    bus.publish(|number| number);
    go_on.add_permits(2);
    assert_eq!(wait(flushing), 0);
    assert_eq!(seen.iter().take(3).collect::<Vec<_>>(), [1, 2, 3]);
    // The third is being given, and nobody lets its function go on.
    let limit = Some(std::time::Duration::from_millis(5));
    assert_eq!(wait(flush(bus.backlogs(), limit)), 1);
}

#[test]
fn a_flush_waits_for_what_was_published_before_the_end() {
    let bus = Broadcast::default();
    let (_listener, seen, go_on) = held(&bus);
    bus.publish(|number| number);
    bus.close();
    let mut flushing = Box::pin(flush(bus.backlogs(), None));
    assert!((&mut flushing).now_or_never().is_none());
    go_on.add_permits(1);
    assert_eq!(wait(flushing), 0);
    assert_eq!(seen.iter().collect::<Vec<_>>(), [1]);
}

#[test]
fn subscriptions_that_come_and_go_take_no_room() {
    let bus = Broadcast::<u64>::default();
    let kept: Vec<_> = (0..100)
        .map(|_| subscribe(&bus, 1, DropPolicy::Oldest))
        .collect();
    for _ in 0..10_000 {
        drop(subscribe(&bus, 1, DropPolicy::Oldest));
        assert!(bus.state().queues.len() <= CLEANED_MIN + 2 * (kept.len() + 1));
    }
    bus.publish(|number| number);
    assert_eq!(bus.state().queues.len(), kept.len());
    assert!(kept.iter().all(|it| read(it) == [1]));
}

#[test]
fn what_waits_for_a_function_that_is_stopped_is_counted_as_dropped() {
    let bus = Broadcast::default();
    let (listener, seen, go_on) = held(&bus);
    for _ in 0..4 {
        bus.publish(|number| number);
    }
    assert_eq!(seen.recv().unwrap(), 1);
    assert_eq!((listener.waiting(), listener.dropped()), (3, 0));
    listener.stop();
    bus.publish(|number| number);
    assert_eq!((listener.waiting(), listener.dropped()), (0, 3));
    go_on.add_permits(1);
    assert!(seen.recv().is_err(), "it is called no more");
}

#[test]
fn functions_go_on_with_what_a_forked_child_publishes() {
    let bus = Broadcast::default();
    let (listener, seen, go_on) = held(&bus);
    bus.publish(|number| number);
    bus.publish(|number| number);
    assert_eq!(seen.recv().unwrap(), 1);
    // As in a child: what was made before the fork is of the generation before.
    bus.state().generation = per_process::generation().wrapping_sub(1);
    // The task of the parent is held at the first item, as if it were not there.
    bus.publish(|number| number);
    assert_eq!(seen.recv().unwrap(), 3);
    assert_eq!(bus.subscriber_count(), 1);
    listener.stop();
    assert_eq!(bus.subscriber_count(), 0);
    assert!(listener.is_stopped());
    go_on.add_permits(8);
}

#[test]
fn who_waited_in_the_parent_is_not_woken_in_place_of_a_forked_child() {
    let bus = Broadcast::default();
    let subscription = subscribe(&bus, 8, DropPolicy::Oldest);
    let mut of_parent = Box::pin(subscription.next());
    assert!((&mut of_parent).now_or_never().is_none());
    // As in a child, where nobody polls what waited in its parent.
    bus.state().generation = per_process::generation().wrapping_sub(1);
    let woken = Arc::new(AtomicUsize::new(0));
    let noted = Arc::clone(&woken);
    let waker = Waker::from(Arc::new(Noted(noted)));
    let mut waiting = Box::pin(subscription.next());
    let polled = waiting.as_mut().poll(&mut TaskContext::from_waker(&waker));
    assert!(polled.is_pending());
    bus.publish(|number| number);
    assert!(woken.load(Ordering::SeqCst) > 0);
    assert_eq!(waiting.now_or_never().flatten().as_deref(), Some(&1));
}

/// A waker that counts.
struct Noted(Arc<AtomicUsize>);

impl Wake for Noted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
