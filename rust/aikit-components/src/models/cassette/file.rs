//! The file of a cassette: JSON lines, the first one says what the file is.
//!
//! ```json
//! {"aikit_cassette":1,"time":"2026-01-02T03:04:05.678901Z","seed":"…64 hexadecimal digits…"}
//! {"kind":"chat","request":{"model":"openai:…","messages":[…]},"answer":{…}}
//! {"kind":"tool","request":{"tool":"request_http","args":{…}},"error":{…}}
//! ```

use std::{
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use aikit_core::{
    Error, ErrorKind, Result, Value,
    clock::{Clock, SystemClock, UnixMicros},
    tape::TapeCall,
};
use serde_json::{Map as JsonMap, Value as Json, json};

use super::scrub::Scrubber;

/// Version of the format; a newer one is refused.
const VERSION: u64 = 1;

/// Largest file that is read, in bytes.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 30;

/// Longest first line of a cassette, in bytes.
const FIRST_BYTES_MAX: u64 = 4096;

const VERSION_KEY: &str = "aikit_cassette";

/// What holds for a whole cassette.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Header {
    /// When it was recorded.
    pub(super) time: UnixMicros,
    /// What randomness follows from.
    pub(super) seed: [u8; 32],
}

impl Header {
    /// The header of a recording that begins now.
    pub(super) fn begin(clock: &dyn Clock) -> Self {
        let mut seed = [0; 32];
        clock.random(&mut seed);
        let time = clock.now();
        Self { time, seed }
    }

    fn to_json(&self) -> Json {
        let time = jiff::Timestamp::from_microsecond(self.time).unwrap_or_default();
        let seed = blake3::Hash::from_bytes(self.seed).to_hex();
        json!({ VERSION_KEY: VERSION, "time": format!("{time:.6}"), "seed": seed.as_str() })
    }

    fn parse(line: &str) -> Option<Self> {
        let header: Json = serde_json::from_str(line).ok()?;
        let time: jiff::Timestamp = header.get("time")?.as_str()?.parse().ok()?;
        let seed = blake3::Hash::from_hex(header.get("seed")?.as_str()?).ok()?;
        Some(Self {
            time: time.as_microsecond(),
            seed: *seed.as_bytes(),
        })
    }
}

/// One call and how it ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) kind: String,
    pub(super) request: Value,
    /// `{answer = …}` or `{error = …}`.
    pub(super) outcome: Value,
    /// What calls are compared by.
    pub(super) key: Key,
}

impl Entry {
    /// The line of a call and its outcome.
    pub(super) fn line(call: &TapeCall, outcome: &Value) -> String {
        let mut line = JsonMap::new();
        line.insert("kind".to_owned(), Json::from(call.kind));
        line.insert("request".to_owned(), call.request.to_escaped_json());
        if let Value::Map(outcome) = outcome {
            for (name, value) in outcome {
                line.insert(name.clone(), value.to_escaped_json());
            }
        }
        Json::Object(line).to_string()
    }

    fn parse(line: &str, scrubber: &Scrubber) -> Option<Self> {
        let Json::Object(mut line) = serde_json::from_str(line).ok()? else {
            return None;
        };
        let kind = line.get("kind")?.as_str()?.to_owned();
        // An earlier version hid less than is hidden in the call that is compared.
        let request = scrubber.value(Value::from_escaped_json(line.remove("request")?));
        let name = if line.contains_key("error") {
            "error"
        } else {
            "answer"
        };
        let outcome = Value::from_escaped_json(line.remove(name)?);
        let outcome = Value::map([(name, outcome)]);
        let key = Key::of(&kind, &request);
        Some(Self {
            kind,
            request,
            outcome,
            key,
        })
    }
}

/// The hash of a call in canonical form: members sorted by name, numbers by their value.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key(blake3::Hash);

impl Key {
    pub(super) fn of(kind: &str, request: &Value) -> Self {
        let mut text = String::from(kind);
        text.push('\n');
        text.push_str(&canonical(request).to_string());
        Self(blake3::hash(text.as_bytes()))
    }
}

/// Lua and JSON do not tell 1 from 1.0, nor an empty list from an empty map.
pub(super) fn canonical(value: &Value) -> Json {
    match value {
        Value::List(items) if items.is_empty() => Json::Object(JsonMap::new()),
        Value::List(items) => items.iter().map(canonical).collect(),
        Value::Map(map) => {
            let mut names: Vec<&String> = map.keys().collect();
            names.sort_unstable();
            let member = |name: &String| (name.clone(), map.get(name).map(canonical));
            let members = names.into_iter().map(member);
            Json::Object(members.filter_map(|(k, v)| Some((k, v?))).collect())
        }
        Value::Float(_) => value
            .as_i64()
            .map_or_else(|| value.to_escaped_json(), Json::from),
        other => other.to_escaped_json(),
    }
}

/// Reads a cassette.
pub(super) fn read(path: &Path, scrubber: &Scrubber) -> Result<(Header, Vec<Entry>)> {
    let name = path.display();
    let unreadable = |error: std::io::Error| {
        let error = Error::from(error);
        let message = format!("cannot read the cassette `{name}`: {}", error.message());
        Error::new(error.kind(), message)
            .with_hint("give the path of a cassette, or `record` it first")
    };
    let file = fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let message = format!("the cassette `{name}` is larger than {FILE_BYTES_MAX} bytes");
        return Err(Error::new(ErrorKind::LimitExceeded, message)
            .with_hint("record what it holds in several ones"));
    }
    parse(&text, scrubber).map_err(|error| {
        let message = format!("`{name}`: {}", error.message());
        let hint = error.hint().unwrap_or("record it again").to_owned();
        Error::new(error.kind(), message).with_hint(hint)
    })
}

fn parse(text: &str, scrubber: &Scrubber) -> Result<(Header, Vec<Entry>)> {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let version = serde_json::from_str::<Json>(first)
        .ok()
        .and_then(|line| line.get(VERSION_KEY)?.as_u64());
    match version {
        Some(VERSION) => {}
        Some(other) if other > VERSION => {
            let message = format!("the cassette has version {other}, newer than {VERSION}");
            return Err(Error::new(ErrorKind::VersionMismatch, message)
                .with_hint("update aikit, or record it again"));
        }
        _ => {
            let message = "the file is not a cassette";
            return Err(Error::new(ErrorKind::CorruptRecord, message)
                .with_hint("give the path of a cassette, or another one to `record` to"));
        }
    }
    let header = Header::parse(first).ok_or_else(|| damaged(1))?;
    let entries = lines
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| Entry::parse(line, scrubber).ok_or_else(|| damaged(index + 2)));
    Ok((header, entries.collect::<Result<_>>()?))
}

fn damaged(line: usize) -> Error {
    let message = format!("line {line} is not of a cassette");
    Error::new(ErrorKind::CorruptRecord, message).with_hint("record it again")
}

/// Fails where a cassette cannot be written in the end, before anything is recorded; makes the
/// folders on the way.
pub(super) fn try_place(path: &Path) -> Result<()> {
    refuse_other_file(path)?;
    make_folder(path)
        .and_then(|()| {
            let beside = beside(path);
            drop(fs::File::create_new(&beside)?);
            fs::remove_file(&beside)
        })
        .map_err(|error| unwritable(path, error))
}

/// Writes a cassette: beside its place first, so that whoever reads it finds all of it or what was
/// there before.
pub(super) fn write(path: &Path, header: &Header, lines: &[Arc<str>]) -> Result<()> {
    refuse_other_file(path)?;
    make_folder(path).map_err(|error| unwritable(path, error))?;
    let beside = beside(path);
    let written = write_lines(&beside, header, lines).and_then(|()| fs::rename(&beside, path));
    // The name is to be on the disk too; some file systems do not synchronise folders.
    if let Some(Ok(folder)) = path.parent().map(fs::File::open) {
        drop(folder.sync_all());
    }
    written.map_err(|error| {
        drop(fs::remove_file(&beside));
        unwritable(path, error)
    })
}

/// A recording replaces a cassette, never another file.
fn refuse_other_file(path: &Path) -> Result<()> {
    let Ok(metadata) = fs::metadata(path) else {
        return Ok(());
    };
    if metadata.is_file() && begins_as_cassette(path) {
        return Ok(());
    }
    let message = format!("`{}` is there and is not a cassette", path.display());
    Err(Error::invalid_args(message).with_hint("give another path, such as `run.cassette`"))
}

/// Whether the first line of a file says that it is a cassette, of whatever version.
fn begins_as_cassette(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = fs::File::open(path).and_then(|it| it.take(FIRST_BYTES_MAX).read_to_end(&mut start));
    let line = start
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let header: Option<Json> = serde_json::from_slice(line).ok();
    read.is_ok() && header.is_some_and(|it| it.get(VERSION_KEY).is_some())
}

/// The folder of a path, its links resolved; `None` where there is none.
pub(super) fn folder(path: &Path) -> Option<PathBuf> {
    path.parent()?.canonicalize().ok()
}

fn make_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    folder.map_or(Ok(()), fs::create_dir_all)
}

/// Where a cassette is written before it gets its name: a place that nothing else has.
fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.part", SystemClock.uuid().simple()));
    path.with_file_name(name)
}

fn unwritable(path: &Path, error: std::io::Error) -> Error {
    let error = Error::from(error);
    let message = format!(
        "cannot write the cassette `{}`: {}",
        path.display(),
        error.message()
    );
    Error::new(error.kind(), message).with_hint("give a path in a folder that can be written")
}

fn write_lines(path: &Path, header: &Header, lines: &[Arc<str>]) -> std::io::Result<()> {
    let mut file = std::io::BufWriter::new(fs::File::create_new(path)?);
    writeln!(file, "{}", header.to_json())?;
    for line in lines {
        writeln!(file, "{line}")?;
    }
    file.flush()?;
    file.get_ref().sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(request: Value) -> Arc<str> {
        let call = TapeCall {
            kind: "chat",
            request,
        };
        let outcome = Value::map([("answer", Value::from(f64::NAN))]);
        Arc::from(Entry::line(&call, &outcome))
    }

    fn parsed(text: &str) -> Result<Vec<Entry>> {
        parse(text, &Scrubber::default()).map(|(_, entries)| entries)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/x.cassette");
        let header = Header {
            time: 1_700_000_000_123_456,
            seed: [7; 32],
        };
        let bytes = Value::Bytes(bytes::Bytes::from_static(&[0, 255]));
        let requests = [Value::map([("a", bytes)]), Value::Int(1)];
        let lines: Vec<_> = requests.iter().cloned().map(line).collect();
        write(&path, &header, &lines).unwrap();
        let (read_header, read_entries) = read(&path, &Scrubber::default()).unwrap();
        assert_eq!(read_header, header);
        for (read, written) in read_entries.iter().zip(&requests) {
            assert_eq!((&*read.kind, &read.request), ("chat", written));
            assert_eq!(read.key, Key::of("chat", written));
            let answer = read.outcome.get("answer").and_then(Value::as_f64);
            assert!(answer.is_some_and(f64::is_nan));
        }
        let beside = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!((read_entries.len(), beside), (2, 1));
    }

    #[test]
    fn the_order_of_members_and_the_kind_of_a_number_are_no_difference() {
        let key = |request: Value| Key::of("chat", &request);
        let one = Value::map([("a", Value::Int(1)), ("b", Value::List(Vec::new()))]);
        let other = Value::map([("b", Value::map::<&str>([])), ("a", Value::Float(1.0))]);
        assert_eq!(key(one), key(other));
        assert_ne!(key(Value::Int(1)), key(Value::from("1")));
    }

    #[test]
    fn a_newer_or_a_damaged_file_is_refused_with_its_line() {
        let seed = "07".repeat(32);
        let head = |version: u64| {
            format!(
                r#"{{"aikit_cassette":{version},"time":"2026-01-02T03:04:05Z","seed":"{seed}"}}"#
            )
        };
        let good = r#"{"kind":"chat","request":{},"answer":1}"#;
        assert_eq!(parsed(&format!("{}\n{good}\n", head(1))).unwrap().len(), 1);
        let cases = [
            (head(2), ErrorKind::VersionMismatch, "version 2"),
            (String::new(), ErrorKind::CorruptRecord, "not a cassette"),
            ("{}".to_owned(), ErrorKind::CorruptRecord, "not a cassette"),
            (
                r#"{"aikit_cassette":1}"#.to_owned(),
                ErrorKind::CorruptRecord,
                "line 1",
            ),
            (
                format!("{}\n{good}\n{{\"kind\":", head(1)),
                ErrorKind::CorruptRecord,
                "line 3",
            ),
        ];
        for (text, kind, says) in cases {
            let error = parsed(&text).unwrap_err();
            assert_eq!(error.kind(), kind, "{text}");
            assert!(error.message().contains(says), "{error}");
        }
    }

    #[test]
    fn a_cassette_that_cannot_be_written_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        let header = Header {
            time: 0,
            seed: [0; 32],
        };
        let error = write(&taken, &header, &[]).unwrap_err();
        assert!(error.message().contains("taken") && error.hint().is_some());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn another_file_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let header = Header {
            time: 0,
            seed: [0; 32],
        };
        let path = folder.path().join("x");
        for content in ["", "# Notes\n", "{}\n", "{\"a\": 1}", "\0\u{1}SQLite"] {
            fs::write(&path, content).unwrap();
            for error in [try_place(&path), write(&path, &header, &[])] {
                let error = error.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidArgs, "{content}");
                assert!(error.hint().is_some());
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        fs::remove_file(&path).unwrap();
        for _ in 0..2 {
            try_place(&path).unwrap();
            write(&path, &header, &[]).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
