//! `Event`: facts that others observe: publish, subscribe, and read again what was kept.

use std::{sync::Arc, time::Duration};

use aikit_components::event_log::REPLAY;
use aikit_core::{
    Context, Result, Value,
    broadcast::{DropPolicy, Feed, Listener, QueueOptions, subscriber, timeout},
    context::Overrides,
    event::{Event, EventKind},
    script::Callable,
    value::Map,
};
use futures::{FutureExt as _, future::BoxFuture};

use super::{
    ApiClass, ApiFunction, ApiModule, Args, Call, Kind, Param, Return, Session, optional, ready,
    required, session::or_no_room, without_nulls,
};

/// The module.
pub(super) const MODULE: ApiModule = ApiModule {
    functions: FUNCTIONS,
    classes: &[SUBSCRIPTION],
    counted: &["receive", "subscribe"],
    ..ApiModule::new(
        "Event",
        "Facts that others observe: what procedures, tools and agents do, and events of your own.",
    )
};

/// Name of the class of subscriptions.
const NAME: &str = "Subscription";

/// How a subscription's queue is.
pub(super) const QUEUE: &[Param] = &[
    optional(
        "capacity",
        Kind::Integer,
        "Most events that wait, 1 to 65536; 1024 when left out.",
    ),
    optional(
        "drop",
        Kind::String,
        "What is lost when more wait: `oldest`, which is the default, or `newest`.",
    )
    .one_of(&["oldest", "newest"]),
];

/// The function of a subscription.
pub(super) const FUNCTION: Param = optional(
    "fn",
    Kind::Function,
    "Called with each event, one after the other; without one, the subscription gives them.",
);

/// How long to wait.
pub(super) const TIMEOUT: &[Param] = &[LIMIT];

/// The longest wait.
pub(super) const LIMIT: Param = optional(
    "timeout",
    Kind::Number,
    "Longest wait in seconds; as long as the call may take when left out.",
);

const REPLAYED: &[Param] = &[
    optional(
        "after",
        Kind::Integer,
        "Number of the last event that is known; 0, the beginning, when left out.",
    ),
    optional(
        "pattern",
        Kind::String,
        "Which events, as for `subscribe`; all when left out.",
    ),
    optional(
        "limit",
        Kind::Integer,
        "Most events, 1 to 10000; 1000 when left out.",
    ),
];

const PATTERN: Param = required(
    "pattern",
    Kind::String,
    "Dotted name where `*` stands for one part and `**` for any number of parts.",
);

const FUNCTIONS: &[ApiFunction] = &[
    ApiFunction {
        name: "publish",
        summary: "Publishes an event; never waits.",
        params: &[
            required(
                "kind",
                Kind::String,
                "Dotted name of your own, such as `build.step.done`.",
            ),
            optional("data", Kind::Any, "What belongs to the event."),
        ],
        returns: "its sequence number, from 1 in each process",
        example: "Event.publish('build.done', {files = 3})",
        call: Call::Host(|_, args| ready(publish(args))),
    },
    ApiFunction {
        name: "subscribe",
        summary: "Subscribes to the events from now on whose names fit a pattern.",
        params: &[
            PATTERN,
            FUNCTION,
            optional("options", Kind::Options(QUEUE), "How its queue is."),
        ],
        returns: "a `Subscription`; one with a function goes on until it is stopped",
        example: "local events = Event.subscribe('build.*') Event.publish('build.done') \
                  return events:receive().kind",
        call: Call::Host(|session, args| ready(or_no_room(subscribe(session, args)))),
    },
    ApiFunction {
        name: "receive",
        summary: "Waits for the next event whose name fits a pattern.",
        params: &[
            PATTERN,
            optional("options", Kind::Options(TIMEOUT), "How long to wait."),
        ],
        returns: "the event, or `nil` when none came in time",
        example: "Event.receive('build.*', {timeout = 0.01})",
        call: Call::Host(|_, args| Box::pin(receive(args).map(or_no_room))),
    },
    ApiFunction {
        name: "flush",
        summary: "Waits until functions that subscribed to events, and to the channels of the \
                  user, have been given what was published before this call, and until it is \
                  written where it is kept. The end of `aikit run` does so by itself, for two \
                  seconds at most.",
        params: &[optional(
            "options",
            Kind::Options(TIMEOUT),
            "How long to wait.",
        )],
        returns: "how many events they have not been given; 0 unless the time was too short",
        example: "Event.subscribe('build.*', print) Event.publish('build.done') Event.flush()",
        call: Call::Host(|session, args| Box::pin(flush(session.clone(), args))),
    },
    ApiFunction {
        name: "replay",
        summary: "Reads events that the project has kept, those of earlier processes included; \
                  `events.persist` in the configuration says which are.",
        params: &[optional(
            "options",
            Kind::Options(REPLAYED),
            "Which events.",
        )],
        returns: "a list of events, oldest first, with the numbers of the log as `sequence`",
        example: "pcall(Event.replay, {pattern = 'build.**', limit = 10})",
        call: Call::Host(|session, args| Box::pin(replay(session.clone(), args))),
    },
];

const SUBSCRIPTION: ApiClass = ApiClass {
    name: NAME,
    summary: "A subscription to events or to a channel.",
    constructor: None,
    methods: &[
        ApiFunction {
            name: "receive",
            summary: "Waits for the next event.",
            params: &[optional(
                "options",
                Kind::Options(TIMEOUT),
                "How long to wait.",
            )],
            returns: "the event, or `nil` when none came in time or there will be none any more",
            example: "Event.subscribe('build.*'):receive{timeout = 0.01}",
            call: Call::Host(|session, args| Box::pin(next(session.clone(), args))),
        },
        ApiFunction {
            name: "events",
            summary: "Gives the events as they come.",
            params: &[optional(
                "options",
                Kind::Options(TIMEOUT),
                "After how long without an event the stream ends.",
            )],
            returns: "a stream",
            example: "for event in Event.subscribe('build.*'):events{timeout = 0.01} do \
                      print(event.kind) end",
            call: Call::Host(|session, args| ready(events(session, args))),
        },
        ApiFunction {
            name: "stats",
            summary: "Says how the subscription is.",
            params: &[],
            returns: "a record with `waiting`, `dropped` (lost because nobody took them in time, or \
                      the function was stopped before), `failed` and `error` (of the function), `is_stopped`",
            example: "Event.subscribe('build.*'):stats().dropped",
            call: Call::Host(|session, args| ready(stats(session, &args))),
        },
        ApiFunction {
            name: "stop",
            summary: "Ends the subscription. Events that wait can still be received; a function is \
                      called no more, and what waited for it counts as `dropped`.",
            params: &[],
            returns: "nothing",
            example: "Event.subscribe('build.*', print):stop()",
            call: Call::Host(|session, args| ready(stop(session, &args))),
        },
    ],
    fields: &[("name", "The pattern or the channel.")],
};

/// What the session keeps for a handle.
pub(super) fn hand_out(session: &Session, name: &str, feed: Feed) -> Result<Return> {
    let fields = Map::from_iter([("name".to_owned(), Value::from(name))]);
    session.insert(NAME, fields, Arc::new(feed))
}

/// The queue that was asked for.
pub(super) fn queue(mut given: Args) -> Result<QueueOptions> {
    let default = QueueOptions::default();
    let drop = given.string("drop").map(|it| DropPolicy::parse(&it));
    Ok(QueueOptions {
        capacity: given.size("capacity")?.unwrap_or(default.capacity),
        drop: drop.transpose()?.unwrap_or_default(),
    })
}

/// Calls a function of the script with each item, on behalf of whoever subscribed. It outlives the
/// call that did, so it ends with the session and not with the call.
pub(super) fn calling<T: 'static>(
    session: &Session,
    cx: &Context,
    function: Arc<dyn Callable>,
    show: fn(&T) -> Value,
) -> impl Fn(Arc<T>) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static {
    let below = cx.outliving(&session.components().context, None);
    move |item| {
        let cx = below.root_child(Overrides {
            subscriber: subscriber(),
            ..Overrides::default()
        });
        function
            .call(&cx, vec![show(&item)])
            .map(|it| it.map(drop))
            .boxed()
    }
}

/// Gives the items of a feed as a stream of the session.
pub(super) fn stream_of(session: &Session, feed: Feed, seconds: Option<f64>) -> Result<Return> {
    session.insert_feed(feed, timeout(seconds)?)
}

/// An event as a script sees it.
fn shown(event: &Event) -> Value {
    without_nulls(event.to_value())
}

fn publish(mut args: Args) -> Result<Return> {
    let kind = EventKind::custom(&args.required_string("kind")?)?;
    let data = args.value("data");
    let sequence = args.cx.publish(kind, data);
    Ok(Return::Value(Value::from(sequence)))
}

fn subscribe(session: &Session, mut args: Args) -> Result<Return> {
    let pattern = args.required_string("pattern")?;
    let options = queue(args.options("options"))?;
    let events = args.cx.events().try_subscribe([&*pattern], options)?;
    let feed = match args.function("fn") {
        Some(function) => {
            let calling = calling(session, &args.cx, function, shown);
            let listener: Listener = events.listen(&pattern, calling);
            Feed::of(listener)
        }
        None => Feed::new(events.into_queue(), shown),
    };
    hand_out(session, &pattern, feed)
}

async fn receive(mut args: Args) -> Result<Return> {
    let pattern = args.required_string("pattern")?;
    let limit = timeout(args.options("options").number("timeout"))?;
    let events = args
        .cx
        .events()
        .try_subscribe([&*pattern], QueueOptions::default())?;
    let feed = Feed::new(events.into_queue(), shown);
    let event = feed.receive(&**args.cx.clock(), limit).await?;
    Ok(Return::Value(event.unwrap_or_default()))
}

async fn flush(session: Session, mut args: Args) -> Result<Return> {
    let limit = timeout(args.options("options").number("timeout"))?;
    let log = &session.components().event_log;
    let left = log.flush_events(&args.cx, limit).await?;
    Ok(Return::Value(Value::from(left)))
}

async fn replay(session: Session, mut args: Args) -> Result<Return> {
    let mut given = args.options("options");
    let after = given.size("after")?.unwrap_or_default();
    let pattern = given.string("pattern").unwrap_or_else(|| "**".to_owned());
    let limit = given.size("limit")?.unwrap_or(REPLAY);
    let log = &session.components().event_log;
    let kept = log
        .replay(&args.cx, (after as u64, &pattern), limit)
        .await?;
    Ok(Return::Value(kept.into_iter().map(without_nulls).collect()))
}

async fn next(session: Session, mut args: Args) -> Result<Return> {
    let feed = session.object::<Feed>(args.this)?;
    let limit = timeout(args.options("options").number("timeout"))?;
    next_of(&feed, &args.cx, limit).await
}

/// The next item of a feed, on its way to the script.
pub(super) async fn next_of(feed: &Feed, cx: &Context, limit: Option<Duration>) -> Result<Return> {
    let item = feed.deliver(&**cx.clock(), limit).await?;
    Ok(item.map_or(Return::Value(Value::Null), Return::Delivery))
}

fn events(session: &Session, mut args: Args) -> Result<Return> {
    let feed = Feed::clone(&*session.object::<Feed>(args.this)?);
    let seconds = args.options("options").number("timeout");
    stream_of(session, feed, seconds)
}

fn stats(session: &Session, args: &Args) -> Result<Return> {
    let feed = session.object::<Feed>(args.this)?;
    Ok(Return::Value(without_nulls(feed.stats())))
}

fn stop(session: &Session, args: &Args) -> Result<Return> {
    session.object::<Feed>(args.this)?.stop();
    Ok(Return::Value(Value::Null))
}
