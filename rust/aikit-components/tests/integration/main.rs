//! Integration tests of the components, one module a subject.

#[cfg(test)]
mod agents;
#[cfg(test)]
mod agents_stopped;
#[cfg(test)]
mod approvals;
#[cfg(test)]
mod built_in_hooks;
#[cfg(test)]
mod cassette;
#[cfg(test)]
mod event_log;
#[cfg(test)]
mod files;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod hooks;
#[cfg(test)]
mod hooks_of_stores;
#[cfg(test)]
mod http_guard;
#[cfg(test)]
mod invoke;
#[cfg(test)]
mod logging_hook;
#[cfg(test)]
mod loopback;
#[cfg(test)]
mod model_policy;
#[cfg(test)]
mod models;
#[cfg(test)]
mod path_guard;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod providers;
#[cfg(test)]
mod rag;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod session;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod shared_client;
#[cfg(test)]
mod state;
#[cfg(test)]
mod storage;
#[cfg(test)]
mod support;
#[cfg(test)]
mod telemetry;
#[cfg(test)]
mod tool_table;
#[cfg(test)]
mod vector;
