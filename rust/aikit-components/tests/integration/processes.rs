//! Programs through the process guard: ended with all they started, and without our secrets.

use std::time::Duration;

use aikit_core::{
    Context, ErrorKind, Value,
    context::{Caller, Overrides},
    io,
};

use crate::session::{self, Answers, Setup};

fn script(code: &str) -> Value {
    let args = vec![Value::from("-c"), Value::from(code)];
    Value::map([("program", Value::from("sh")), ("args", Value::List(args))])
}

#[test]
fn a_cancelled_call_ends_the_program_and_what_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let cx = session::open(folder.path(), Setup::default());
    let context: Context = cx.context.child(Overrides::default());
    let cx = cx.with_context(context.clone());
    let file = folder.path().join("pid");
    // The child of the shell is what would be forgotten.
    let code = "sleep 600 & echo $! > pid.tmp; mv pid.tmp pid; wait";
    let running = std::thread::spawn(move || session::invoke(&cx, "run_process", script(code)));
    let pid = wait_for(|| std::fs::read_to_string(&file).ok());
    context.cancel(ErrorKind::Cancelled, "enough");
    let error = running.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    wait_for(|| is_gone(pid.trim()).then_some(()));
}

/// Whether a process has ended; one that nobody buried yet has.
fn is_gone(pid: &str) -> bool {
    let found = std::process::Command::new("ps")
        .args(["-o", "stat=", "-p", pid])
        .output()
        .unwrap();
    let state = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    state.is_empty() || state.starts_with('Z')
}

/// Looks until there is something; the limit only ends a test that fails.
fn wait_for<T: Send + 'static>(look: impl Fn() -> Option<T>) -> T {
    let clock = Context::default().clock().clone();
    let begun = clock.monotonic();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock.monotonic().saturating_sub(begun) < Duration::from_secs(30));
        let pause = clock.sleep(Duration::from_millis(5));
        io::wait(pause, || Ok(())).unwrap();
    }
}

#[test]
fn a_program_of_an_agent_inherits_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let ask = std::sync::Arc::new(Answers {
        answer: "yes".to_owned(),
        ..Answers::default()
    });
    let setup = Setup {
        caller: Caller::Agent,
        ask: Some(ask),
        ..Setup::default()
    };
    let agent = session::open(folder.path(), setup);
    let names = |cx| {
        let printed = session::invoke(cx, "run_process", script("env")).unwrap();
        let printed = printed.get("stdout").unwrap().as_str().unwrap().to_owned();
        printed
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, _)| name.to_owned())
            .collect::<Vec<_>>()
    };
    let of_agent = names(&agent);
    assert!(of_agent.contains(&"PATH".to_owned()), "{of_agent:?}");
    // The test runner is started by cargo, which sets this.
    assert!(
        !of_agent.contains(&"CARGO_MANIFEST_DIR".to_owned()),
        "{of_agent:?}"
    );
    let user = session::open(folder.path(), Setup::default());
    assert!(names(&user).contains(&"CARGO_MANIFEST_DIR".to_owned()));
}

#[test]
fn endless_output_is_read_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let cx = session::open(folder.path(), Setup::default());
    let code =
        "i=0; while [ $i -lt 3000 ]; do printf '%0100d' $i; i=$((i+1)); done; printf end >&2";
    let output = session::invoke(&cx, "run_process", script(code)).unwrap();
    assert_eq!(
        output.get("stdout").unwrap().as_str().unwrap().len(),
        64 << 10
    );
    assert_eq!(output.get("stderr"), Some(&Value::from("end")));
    assert_eq!(output.get("limited"), Some(&Value::Bool(true)));
    assert_eq!(output.get("exit_code"), Some(&Value::Int(0)));
}

#[test]
fn output_whose_text_is_longer_than_its_bytes_fits_into_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let cx = session::open(folder.path(), Setup::default());
    let code = "head -c 262144 /dev/zero | tr '\\0' '\\377'; head -c 262144 /dev/zero >&2";
    let mut args = script(code);
    if let Value::Map(args) = &mut args {
        args.insert("max_bytes".to_owned(), Value::Int(262_144));
    }
    let output = session::invoke(&cx, "run_process", args).unwrap();
    assert_eq!(output.get("limited"), Some(&Value::Bool(true)));
    let stdout = output.get("stdout").unwrap().as_str().unwrap();
    assert!(stdout.len() > 400_000 && stdout.starts_with('\u{fffd}'));
}

/// A program of Python's that prints, and leaves a process in a session of its own behind: its
/// number is in `pid`, and it holds the outputs open. `how` starts that process.
fn leaver(how: &str) -> Value {
    let code = format!(
        "import os, sys
print('kept', flush=True)
if os.fork() == 0:
    os.setsid()
    sleeps = [sys.executable, '-c', 'import os, time; time.sleep(600)']
    {how}
while not os.path.exists('pid'):
    os.sched_yield()
"
    );
    Value::map([
        ("program", Value::from("python3")),
        (
            "args",
            Value::List(vec![Value::from("-c"), Value::from(code)]),
        ),
    ])
}

/// Writes the number of the process whole.
const WRITES_PID: &str =
    "open('pid.tmp', 'w').write(str(os.getpid())); os.rename('pid.tmp', 'pid')";

#[test]
#[cfg(target_os = "linux")]
fn a_process_that_left_the_group_is_ended_with_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let cx = session::open(folder.path(), Setup::default());
    let how = format!("{WRITES_PID}; os.execv(sys.executable, sleeps)");
    let output = session::invoke(&cx, "run_process", leaver(&how)).unwrap();
    assert_eq!(output.get("stdout"), Some(&Value::from("kept\n")));
    assert_eq!(output.get("limited"), Some(&Value::Bool(false)));
    let pid = std::fs::read_to_string(folder.path().join("pid")).unwrap();
    wait_for(move || is_gone(&pid).then_some(()));
}

#[test]
fn what_was_written_is_kept_when_another_program_holds_the_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let cx = session::open(folder.path(), Setup::default());
    // Out of the group and without a variable it inherited, it is not found.
    let how = format!("{WRITES_PID}; os.execve(sys.executable, sleeps, {{}})");
    let output = session::invoke(&cx, "run_process", leaver(&how)).unwrap();
    assert_eq!(output.get("stdout"), Some(&Value::from("kept\n")));
    assert_eq!(output.get("limited"), Some(&Value::Bool(true)));
    let pid = std::fs::read_to_string(folder.path().join("pid")).unwrap();
    let ended = std::process::Command::new("kill").arg(&pid).status();
    assert!(ended.unwrap().success());
}
