//! `Channel`: named conversations with requests and responses.

use std::sync::Arc;

use aikit_core::{
    Result, Value,
    broadcast::{Feed, QueueOptions, timeout},
    channel::{Channel, ChannelEvent, ChannelSubscription},
    value::Map,
};
use futures::FutureExt as _;

use super::{
    ApiClass, ApiFunction, ApiModule, Arg, Args, Call, Kind, Param, Return, Session,
    channel_session,
    event::{self, FUNCTION, QUEUE, TIMEOUT},
    optional, ready, required,
    session::or_no_room,
    without_nulls,
};

/// The module.
pub(super) const MODULE: ApiModule = ApiModule {
    functions: FUNCTIONS,
    classes: &[CLASS, channel_session::CLASS],
    counted: &["events", "receive", "subscribe"],
    ..ApiModule::new(
        "Channel",
        "Named conversations of the user: publish and subscribe, request and response, also with \
         the front end.",
    )
};

/// Name of the class.
const NAME: &str = "Channel";

/// The name of a channel.
pub(super) const CHANNEL: Param = required(
    "name",
    Kind::String,
    "Name, such as `ui:progress`; case and space around it do not count.",
);

const EVENT: Param = required(
    "event",
    Kind::Either(&[Kind::String, Kind::Table]),
    "Its type, such as `update`; or all of it, `{type, payload, id, metadata, target}`.",
);

const PAYLOAD: Param = optional("payload", Kind::Any, "The data.");

const METADATA: Param = optional(
    "metadata",
    Kind::Table,
    "When, by whom, for what: `source`, `tick`, anything else.",
);

const TARGET: Param = optional(
    "target",
    Kind::Table,
    "Whom it is for, such as `{connection_id = …}`.",
);

const MORE: &[Param] = &[
    optional("id", Kind::String, "Correlates a request and its response."),
    METADATA,
    TARGET,
];

const REQUEST: &[Param] = &[
    optional(
        "id",
        Kind::String,
        "Identity of the request; a new one when left out.",
    ),
    METADATA,
    TARGET,
    event::LIMIT,
];

const ID: Param = required("id", Kind::String, "Identity of the request.");

const FUNCTIONS: &[ApiFunction] = &[
    ApiFunction {
        name: "try_get",
        summary: "Opens a channel where there are channels.",
        params: &[CHANNEL],
        returns: "a `Channel`, or `nil` where the program has none",
        example: "Channel.try_get('ui:progress').name",
        call: Call::Host(|session, args| ready(try_get(session, args))),
    },
    ApiFunction {
        name: "publish",
        summary: "Publishes to a channel by its name; never waits.",
        params: &[
            CHANNEL,
            EVENT,
            PAYLOAD,
            optional("options", Kind::Options(MORE), "The rest of the event."),
        ],
        returns: "the number of the event on the channel",
        example: "Channel.publish('ui:progress', 'update', {percent = 50})",
        call: Call::Host(|session, args| ready(publish(session, args))),
    },
    ApiFunction {
        name: "subscribe",
        summary: "Subscribes to a channel by its name, to the events from now on.",
        params: &[
            CHANNEL,
            FUNCTION,
            optional("options", Kind::Options(QUEUE), "How its queue is."),
        ],
        returns: "a `Subscription`; one with a function goes on until it is stopped",
        example: "Channel.subscribe('tool:status', function(event) print(event.type) end):stop()",
        call: Call::Host(|session, args| ready(or_no_room(subscribe(session, args)))),
    },
    ApiFunction {
        name: "wait_for_response",
        summary: "Waits for the response to a request on a channel by its name; one that came \
                  before is given too.",
        params: &[
            CHANNEL,
            ID,
            optional("options", Kind::Options(TIMEOUT), "How long to wait."),
        ],
        returns: "the event of the type `response`; an error of kind `timeout` when none came",
        example: "pcall(Channel.wait_for_response, 'user:input', 'q1', {timeout = 0.01})",
        call: Call::Host(|session, args| Box::pin(wait_for_response(session.clone(), args))),
    },
    ApiFunction {
        name: "session",
        summary: "Gives the channels of the user and the conversation of the call.",
        params: &[],
        returns: "a `ChannelSession`",
        example: "#Channel.session().channels",
        call: Call::Host(|session, args| ready(channel_session::of(session, &args))),
    },
    ApiFunction {
        name: "remove",
        summary: "Destroys a channel by its name.",
        params: &[CHANNEL],
        returns: "whether there was one",
        example: "Channel.remove('none')",
        call: Call::Host(|_, args| ready(remove(args))),
    },
];

const CLASS: ApiClass = ApiClass {
    name: NAME,
    summary: "A channel of the user and the conversation of the call.",
    constructor: Some(ApiFunction {
        name: NAME,
        summary: "Opens a channel, which is made when there is none.",
        params: &[CHANNEL],
        returns: "a `Channel`",
        example: "Channel('UI:Progress').name",
        call: Call::Host(|session, args| ready(open(session, args))),
    }),
    methods: &[
        ApiFunction {
            name: "publish",
            summary: "Publishes an event; never waits.",
            params: &[
                EVENT,
                PAYLOAD,
                optional("options", Kind::Options(MORE), "The rest of the event."),
            ],
            returns: "its number on the channel, from 1",
            example: "Channel('ui:progress'):publish('update', {percent = 50})",
            call: Call::Host(|session, args| ready(publish(session, args))),
        },
        ApiFunction {
            name: "subscribe",
            summary: "Subscribes to the events from now on.",
            params: &[
                FUNCTION,
                optional("options", Kind::Options(QUEUE), "How its queue is."),
            ],
            returns: "a `Subscription`; one with a function goes on until it is stopped",
            example: "Channel('ui:progress'):subscribe():receive{timeout = 0.01}",
            call: Call::Host(|session, args| ready(or_no_room(subscribe(session, args)))),
        },
        ApiFunction {
            name: "receive",
            summary: "Waits for the next event; the first call of a handle subscribes it.",
            params: &[optional(
                "options",
                Kind::Options(TIMEOUT),
                "How long to wait.",
            )],
            returns: "the event, or `nil` when none came in time or the channel was destroyed",
            example: "Channel('ui:progress'):receive{timeout = 0.01}",
            call: Call::Host(|session, args| {
                Box::pin(receive(session.clone(), args).map(or_no_room))
            }),
        },
        ApiFunction {
            name: "events",
            summary: "Gives the events from now on as they come.",
            params: &[optional(
                "options",
                Kind::Options(TIMEOUT),
                "After how long without an event the stream ends.",
            )],
            returns: "a stream, which ends with the channel",
            example: "for event in Channel('ui:progress'):events{timeout = 0.01} do \
                      print(event.type) end",
            call: Call::Host(|session, args| ready(or_no_room(events(session, args)))),
        },
        ApiFunction {
            name: "request",
            summary: "Publishes a request and waits for its response.",
            params: &[
                PAYLOAD,
                optional("options", Kind::Options(REQUEST), "Identity, time limit."),
            ],
            returns: "the event of the type `response`; an error of kind `timeout` when none came, \
                      of kind `limit_exceeded` when the queues of all subscribers were full",
            example: "pcall(function() return Channel('user:input'):request({message = 'go on?'}, \
                      {timeout = 0.01}).payload end)",
            call: Call::Host(|session, args| Box::pin(request(session.clone(), args))),
        },
        ApiFunction {
            name: "respond",
            summary: "Answers a request.",
            params: &[
                required(
                    "request",
                    Kind::Either(&[Kind::String, Kind::Table]),
                    "The event of the type `request`, or its id.",
                ),
                PAYLOAD,
            ],
            returns: "the number of the response on the channel",
            example: "Channel('user:input'):respond('q1', {confirmed = true})",
            call: Call::Host(|session, args| ready(respond(session, args))),
        },
        ApiFunction {
            name: "wait_for_response",
            summary: "Waits for the response to a request; one that came before is given too.",
            params: &[
                ID,
                optional("options", Kind::Options(TIMEOUT), "How long to wait."),
            ],
            returns: "the event of the type `response`; an error of kind `timeout` when none came",
            example: "local c = Channel('user:input') c:respond('q2', 7) \
                      return c:wait_for_response('q2').payload",
            call: Call::Host(|session, args| Box::pin(wait_for_response(session.clone(), args))),
        },
        ApiFunction {
            name: "subscriber_count",
            summary: "Counts the subscriptions, those of front ends included.",
            params: &[],
            returns: "a number",
            example: "Channel('ui:progress'):subscriber_count()",
            call: Call::Host(|session, args| ready(subscriber_count(session, &args))),
        },
        ApiFunction {
            name: "destroy",
            summary: "Ends the channel: subscriptions end, waits for responses fail.",
            params: &[],
            returns: "nothing",
            example: "Channel('ui:progress'):destroy()",
            call: Call::Host(|session, args| ready(destroy(session, &args))),
        },
    ],
    fields: &[("name", "Its name, in lower case.")],
};

/// A channel, and what its handle receives.
#[derive(Debug)]
struct Handle {
    channel: Channel,
    received: tokio::sync::OnceCell<Feed>,
}

/// A handle of a channel.
pub(super) fn hand_out(session: &Session, channel: Channel) -> Result<Return> {
    let fields = Map::from_iter([("name".to_owned(), Value::from(channel.name()))]);
    let received = tokio::sync::OnceCell::new();
    session.insert(NAME, fields, Arc::new(Handle { channel, received }))
}

fn open(session: &Session, mut args: Args) -> Result<Return> {
    let name = args.required_string("name")?;
    hand_out(session, args.cx.get_channel(&name)?)
}

fn try_get(session: &Session, mut args: Args) -> Result<Return> {
    let name = args.required_string("name")?;
    match args.cx.try_get_channel(&name)? {
        Some(channel) => hand_out(session, channel),
        None => Ok(Return::Value(Value::Null)),
    }
}

/// The channel a method is called on, or that a function of the module names.
fn opened(session: &Session, args: &mut Args) -> Result<Channel> {
    if args.this.is_some() {
        return Ok(session.object::<Handle>(args.this)?.channel.clone());
    }
    let name = args.required_string("name")?;
    args.cx.get_channel(&name)
}

/// The options of [`MORE`] that were given, as data.
fn described(given: &mut Args) -> Map {
    let given = MORE.iter().map(|option| {
        let value = given.value(option.name);
        (option.name.to_owned(), value)
    });
    given.filter(|(_, value)| !value.is_null()).collect()
}

fn publish(session: &Session, mut args: Args) -> Result<Return> {
    let channel = opened(session, &mut args)?;
    let options = described(&mut args.options("options"));
    let (event, payload) = (args.value("event"), args.value("payload"));
    let event = ChannelEvent::describe(event, payload, options)?;
    let number = args.cx.publish_on(&channel, event)?;
    Ok(Return::Value(Value::from(number)))
}

fn subscribe(session: &Session, mut args: Args) -> Result<Return> {
    let channel = opened(session, &mut args)?;
    let options = event::queue(args.options("options"))?;
    let feed = match args.function("fn") {
        Some(function) => {
            let calling = event::calling(session, &args.cx, function, shown);
            Feed::of(channel.listen(options, calling)?)
        }
        None => feed(channel.subscribe(options)?),
    };
    event::hand_out(session, channel.name(), feed)
}

fn feed(subscription: ChannelSubscription) -> Feed {
    Feed::new(subscription, shown)
}

/// An event as a script sees it.
fn shown(event: &ChannelEvent) -> Value {
    without_nulls(event.to_value())
}

async fn receive(session: Session, mut args: Args) -> Result<Return> {
    let handle = session.object::<Handle>(args.this)?;
    let limit = timeout(args.options("options").number("timeout"))?;
    let subscribe = || async { handle.channel.subscribe(QueueOptions::default()).map(feed) };
    let received = handle.received.get_or_try_init(subscribe).await?;
    event::next_of(received, &args.cx, limit).await
}

fn events(session: &Session, mut args: Args) -> Result<Return> {
    let channel = opened(session, &mut args)?;
    let seconds = args.options("options").number("timeout");
    let feed = feed(channel.subscribe(QueueOptions::default())?);
    event::stream_of(session, feed, seconds)
}

async fn request(session: Session, mut args: Args) -> Result<Return> {
    let channel = opened(&session, &mut args)?;
    let mut given = args.options("options");
    let limit = timeout(given.number("timeout"))?;
    let options = described(&mut given);
    let kind = Value::from(aikit_core::channel::REQUEST);
    let event = ChannelEvent::describe(kind, args.value("payload"), options)?;
    let response = args.cx.request_on(&channel, event, limit).await?;
    Ok(Return::Value(shown(&response)))
}

fn respond(session: &Session, mut args: Args) -> Result<Return> {
    let channel = opened(session, &mut args)?;
    let request = args
        .take("request")
        .and_then(Arg::into_value)
        .unwrap_or_default();
    let response = ChannelEvent::answering_value(&request, args.value("payload"))?;
    let number = args.cx.publish_on(&channel, response)?;
    Ok(Return::Value(Value::from(number)))
}

async fn wait_for_response(session: Session, mut args: Args) -> Result<Return> {
    let channel = opened(&session, &mut args)?;
    let id = args.required_string("id")?;
    let limit = timeout(args.options("options").number("timeout"))?;
    let response = channel.wait_for_response(&id, limit).await?;
    Ok(Return::Value(shown(&response)))
}

fn remove(mut args: Args) -> Result<Return> {
    let name = args.required_string("name")?;
    let removed = args.cx.channel_session()?.remove_channel(&name);
    Ok(Return::Value(Value::from(removed)))
}

fn subscriber_count(session: &Session, args: &Args) -> Result<Return> {
    let handle = session.object::<Handle>(args.this)?;
    Ok(Return::Value(Value::from(
        handle.channel.subscriber_count(),
    )))
}

fn destroy(session: &Session, args: &Args) -> Result<Return> {
    session.object::<Handle>(args.this)?.channel.destroy();
    Ok(Return::Value(Value::Null))
}
