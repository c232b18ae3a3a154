//! `ChannelSession`: the channels of one user in one conversation.

use std::sync::Arc;

use aikit_core::{Result, Value, channel::ChannelSession, value::Map};

use super::{ApiClass, ApiFunction, Args, Call, Return, Session, channel, ready};

/// Name of the class.
const NAME: &str = "ChannelSession";

/// The class of what `Channel.session` gives.
pub(super) const CLASS: ApiClass = ApiClass {
    name: NAME,
    summary: "The channels of one user in one conversation.",
    constructor: None,
    methods: &[
        ApiFunction {
            name: "get_channel",
            summary: "Opens a channel of it, which is made when there is none.",
            params: &[channel::CHANNEL],
            returns: "a `Channel`",
            example: "Channel.session():get_channel('ui:progress').name",
            call: Call::Host(|session, args| ready(get_channel(session, args))),
        },
        ApiFunction {
            name: "channel_names",
            summary: "The names of its channels now, in order.",
            params: &[],
            returns: "a list of texts",
            example: "#Channel.session():channel_names()",
            call: Call::Host(|session, args| {
                let opened = session.object::<ChannelSession>(args.this);
                ready(opened.map(|it| Return::Value(Value::from(it.channel_names()))))
            }),
        },
        ApiFunction {
            name: "destroy",
            summary: "Destroys all its channels: subscriptions end, waits for responses fail.",
            params: &[],
            returns: "nothing",
            example: "Channel.session():destroy()",
            call: Call::Host(|session, args| {
                let opened = session.object::<ChannelSession>(args.this);
                ready(opened.map(|it| {
                    it.destroy();
                    Return::Value(Value::Null)
                }))
            }),
        },
    ],
    fields: &[
        ("id", "Whose it is: tenant, user and conversation."),
        (
            "channels",
            "The names of its channels when it was asked for.",
        ),
    ],
};

/// The session of the Context of the call.
pub(super) fn of(session: &Session, args: &Args) -> Result<Return> {
    let opened = args.cx.channel_session()?;
    let fields = match opened.to_value() {
        Value::Map(fields) => fields,
        _ => Map::new(),
    };
    session.insert(NAME, fields, Arc::new(opened))
}

fn get_channel(session: &Session, mut args: Args) -> Result<Return> {
    let opened = session.object::<ChannelSession>(args.this)?;
    let found = opened.get_channel(&args.required_string("name")?)?;
    channel::hand_out(session, found)
}
