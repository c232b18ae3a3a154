//! What publishing costs: with nobody listening, and with one subscriber that drops.

use std::sync::Arc;

use aikit_benches::report;
use aikit_core::{
    Context, Value,
    broadcast::QueueOptions,
    channel::{Channel, ChannelEvent},
    clock::SystemClock,
    event::EventKind,
};

fn main() {
    let cx = Context::default();
    let publish = || {
        for _ in 0..1_000 {
            cx.emit(EventKind::ProcedureStart, Value::Null);
        }
        1_000
    };
    report("event: publish, nobody listens", publish);
    let kept = cx.events().subscribe("other.*");
    report("event: publish, one subscriber that wants others", publish);
    drop(kept);
    let full = cx.events().subscribe("**");
    report("event: publish, one full queue", publish);
    drop(full);

    let clock = Arc::new(SystemClock);
    let Ok(channel) = Channel::new("bench", clock) else {
        return;
    };
    let publish = || {
        for _ in 0..1_000 {
            assert!(
                channel
                    .publish(ChannelEvent::new("update", Value::Null))
                    .is_ok()
            );
        }
        1_000
    };
    report("channel: publish, nobody listens", publish);
    let Ok(full) = channel.subscribe(QueueOptions::default()) else {
        return;
    };
    report("channel: publish, one full queue", publish);
    drop(full);
}
