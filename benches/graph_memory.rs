//! What a million cells leave behind: the graphs of the last ones, and nothing that grows.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{process::ExitCode, sync::Arc};

use aikit_core::{
    Context, Result, Value,
    context::Overrides,
    tracker::{Operation, track},
};
use futures::FutureExt as _;

const CELLS: usize = 1_000_000;
/// Calls of one cell.
const CALLS: usize = 10;
const TARGET_MB: f64 = 10.0;

/// Resident memory of this process, in megabytes; 0 where the system does not say.
fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1000.0
}

/// One cell as the kernel runs it: a graph of its own, which is kept among the last.
async fn cell(session: &Context) -> Result<()> {
    let root = session.root_child(Overrides::default());
    track(&root, Operation::new("cell"), |cx| async move {
        for _ in 0..CALLS {
            let call = track(
                &cx,
                Operation::new("tool:count_words"),
                |inner| async move {
                    inner.metrics().add("tool.calls", 1.0);
                    Ok(Value::Null)
                },
            );
            call.await?;
        }
        Ok(())
    })
    .await?;
    root.recent().push(Arc::clone(root.graph()));
    Ok(())
}

fn main() -> ExitCode {
    let session = Context::default();
    let run = |count: usize| {
        for _ in 0..count {
            assert!(cell(&session).now_or_never().is_some_and(|it| it.is_ok()));
        }
    };
    // What any session has after some cells.
    run(1_000);
    let before = resident_mb();
    run(CELLS);
    let more = resident_mb() - before;
    let verdict = if more <= TARGET_MB { "" } else { "   MISSED" };
    println!(
        "graphs: {CELLS} cells of {CALLS} calls leave {more:.1} MB more (target {TARGET_MB:.0}){verdict}"
    );
    ExitCode::from(u8::from(more > TARGET_MB))
}
