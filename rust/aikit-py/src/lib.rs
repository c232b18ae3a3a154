//! Python bindings: the list of what `aikit._aikit` exports, and nothing else.

mod agents;
mod api;
mod artifacts;
mod ask;
mod callbacks;
mod channels;
mod context;
mod contexts;
mod convert;
mod errors;
mod events;
mod graph;
mod handles;
mod hooks;
mod interpreter;
mod kernel;
mod logging;
mod models;
mod named;
mod packages;
mod plots;
mod procedures;
mod rag;
mod raised;
mod replay;
mod session;
mod sessions;
mod silence;
mod slots;
mod state;
mod subscriptions;
mod telemetry;
mod tools;
mod vectors;
mod wait;
mod whole;

#[pyo3::pymodule(gil_used = false)]
mod _aikit {
    #[pymodule_export]
    use crate::{
        agents::{Agent, run_bundle},
        api::api_modules,
        artifacts::Artifacts,
        callbacks::Reply,
        channels::{Channel, ChannelSession, channel_session, remove_channel, try_channel},
        context::Scope,
        contexts::Context,
        errors::error_kinds,
        events::{
            aflush_events, areplay_events, flush_events, publish_event, replay_events,
            subscribe_events,
        },
        graph::{ProcedureNode, Tree},
        handles::{EventList, Handle, HandleView},
        hooks::{
            enable_hook, hook_points, list_hooks, register_hook, remove_hooks, unregister_hook,
            use_hook,
        },
        interpreter::{begin_fork, call_as_visitor, close_interpreter, end_fork, forget_parent},
        kernel::{check_profile, kernelspec_files, run_command},
        models::{Model, ModelStream, check_models, list_models},
        plots::Plot,
        procedures::{Execution, ProcedureOptions, Watch},
        rag::{Rag, store_path},
        replay::{close_network, eject_cassette, holds_cassette, insert_cassette},
        sessions::Session,
        state::State,
        subscriptions::{Arrival, Subscription},
        telemetry::{
            TelemetrySpan, add_to_counter, check_instrument, end_trace, flush_telemetry,
            record_in_histogram, record_telemetry_error, reset_telemetry_provider,
            set_otlp_provider, set_telemetry_provider, start_trace, traceparent,
        },
        tools::{Tool, find_tool, find_tools},
        vectors::VectorIndex,
    };
}
