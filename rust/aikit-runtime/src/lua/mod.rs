//! The Lua engine.
//!
//! One thread owns the Lua state. Cells, tasks and functions that are called back run on it as
//! coroutines; whatever waits lets the others run. Order inside:
//!
//! ```text
//! signal
//! interrupt | lexer  grammar  pattern
//! polled  search  moves
//! yields  coroutine | source  spans
//! raw
//! library
//! fate  run  resumed
//! error  object  callable  convert  pending  suspended  shells  state  thread  stop  look
//! text  records  picture  display  names  argument  complete  subject  inspect  outline
//! clock  task  cell  listener  stream  progress  graph  log
//! context  handle  procedure
//! natives  bind  sandbox
//! engine
//! ```

mod argument;
mod bind;
mod callable;
mod cell;
mod clock;
mod complete;
mod context;
mod convert;
mod coroutine;
mod display;
mod engine;
mod error;
mod fate;
mod grammar;
mod graph;
mod handle;
mod inspect;
mod interrupt;
mod lexer;
mod library;
mod listener;
mod log;
mod look;
mod moves;
mod names;
mod natives;
mod object;
mod outline;
mod pattern;
mod pending;
mod picture;
mod polled;
mod procedure;
mod progress;
mod raw;
mod records;
mod resumed;
mod run;
mod sandbox;
mod search;
mod shells;
mod signal;
mod source;
mod spans;
mod state;
mod stop;
mod stream;
mod subject;
mod suspended;
mod task;
mod text;
mod thread;
mod yields;

pub use self::engine::LuaEngine;
