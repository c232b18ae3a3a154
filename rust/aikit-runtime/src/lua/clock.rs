//! Time and randomness of a script: the Context's, so that a cassette gives them again.

use aikit_core::Context;
use mlua::{Function, Lua, Table, Value};

use super::state::State;

/// Microseconds in a second.
const MICROS: i64 = 1_000_000;

/// Lets `os.time` and `os.date` without a time tell the time of the run.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn install(lua: &Lua) -> mlua::Result<()> {
    let os: Table = lua.globals().raw_get("os")?;
    let time: Function = os.raw_get("time")?;
    os.raw_set(
        "time",
        lua.create_function(move |_, fields: Value| match fields {
            Value::Nil => now().map(Value::Integer),
            fields => time.call(fields),
        })?,
    )?;
    let date: Function = os.raw_get("date")?;
    os.raw_set(
        "date",
        lua.create_function(
            move |_, (format, time): (Value, Value)| -> mlua::Result<Value> {
                let format = match format {
                    Value::Nil => None,
                    format => Some(format),
                };
                match time {
                    Value::Nil => match format {
                        Some(format) => date.call((format, now()?)),
                        None => date.call(("%c", now()?)),
                    },
                    time => date.call((format.unwrap_or(Value::Nil), time)),
                }
            },
        )?,
    )
}

/// Seconds since 1970.
fn now() -> mlua::Result<i64> {
    let run = State::current()?.run()?;
    Ok(run.cx.clock().now().div_euclid(MICROS))
}

/// While a cassette is in, the numbers of `math.random` follow from it, from the beginning of each
/// cell. Without one Lua's own go on.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn seed(state: &State, cx: &Context) -> mlua::Result<()> {
    let Some(tape) = cx.tape() else {
        return Ok(());
    };
    if let Some(beginning) = tape.beginning() {
        state.tape_seen.set(beginning.number);
    }
    let mut bytes = [0; 16];
    cx.clock().random(&mut bytes);
    set_seed(&state.lua, &bytes)
}

/// The same where a cassette is put in while a cell runs: called wherever a call that may have
/// done so comes back to Lua.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn follow(state: &State, cx: &Context) -> mlua::Result<()> {
    let Some(beginning) = cx.tape().and_then(|it| it.beginning()) else {
        return Ok(());
    };
    if state.tape_seen.replace(beginning.number) == beginning.number {
        return Ok(());
    }
    set_seed(&state.lua, &beginning.seed)
}

fn set_seed(lua: &Lua, bytes: &[u8; 16]) -> mlua::Result<()> {
    let half = |at: usize| -> i64 {
        let part = bytes[at..at + 8].iter();
        part.fold(0, |number, byte| (number << 8) | i64::from(*byte))
    };
    let math: Table = lua.globals().raw_get("math")?;
    // A script that has replaced the function has its own numbers.
    match math.raw_get("randomseed")? {
        Value::Function(randomseed) => randomseed.call((half(0), half(8))),
        _ => Ok(()),
    }
}
