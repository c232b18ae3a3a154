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
    path::Path,
};

use aikit_core::{
    Error, ErrorKind, Result, Value,
    clock::{Clock, UnixMicros},
    tape::TapeCall,
};
use serde_json::{Map as JsonMap, Value as Json, json};

/// Version of the format; a newer one is refused.
const VERSION: u64 = 1;

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 30;

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
    key: blake3::Hash,
}

impl Entry {
    pub(super) fn new(call: TapeCall, outcome: Value) -> Self {
        let key = key(call.kind, &call.request);
        Self {
            kind: call.kind.to_owned(),
            request: call.request,
            outcome,
            key,
        }
    }

    /// Those of `entries` that are outcomes of `call`, with their positions.
    pub(super) fn of<'a>(
        call: &TapeCall,
        entries: &'a [Self],
    ) -> impl Iterator<Item = (usize, &'a Self)> {
        let key = key(call.kind, &call.request);
        let entries = entries.iter().enumerate();
        entries.filter(move |(_, entry)| entry.key == key)
    }

    fn to_json(&self) -> Json {
        let mut line = JsonMap::new();
        line.insert("kind".to_owned(), Json::from(self.kind.as_str()));
        line.insert("request".to_owned(), self.request.to_escaped_json());
        if let Value::Map(outcome) = &self.outcome {
            for (name, value) in outcome {
                line.insert(name.clone(), value.to_escaped_json());
            }
        }
        Json::Object(line)
    }

    fn parse(line: &str) -> Option<Self> {
        let Json::Object(mut line) = serde_json::from_str(line).ok()? else {
            return None;
        };
        let kind = line.get("kind")?.as_str()?.to_owned();
        let request = Value::from_escaped_json(line.remove("request")?);
        let name = if line.contains_key("error") {
            "error"
        } else {
            "answer"
        };
        let outcome = Value::from_escaped_json(line.remove(name)?);
        let outcome = Value::map([(name, outcome)]);
        let key = key(&kind, &request);
        Some(Self {
            kind,
            request,
            outcome,
            key,
        })
    }
}

/// The hash of a call in canonical form: members sorted by name, numbers by their value.
fn key(kind: &str, request: &Value) -> blake3::Hash {
    let mut text = String::from(kind);
    text.push('\n');
    text.push_str(&canonical(request).to_string());
    blake3::hash(text.as_bytes())
}

/// Lua and JSON do not tell 1 from 1.0, nor an empty list from an empty map.
fn canonical(value: &Value) -> Json {
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
pub(super) fn read(path: &Path) -> Result<(Header, Vec<Entry>)> {
    let name = path.display();
    let unreadable = |error: std::io::Error| {
        let error = Error::from(error);
        let message = format!("cannot read the cassette `{name}`: {}", error.message());
        Error::new(error.kind(), message).with_hint("record it first, with the mode `record`")
    };
    let file = fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let message = format!("the cassette `{name}` is larger than {FILE_BYTES_MAX} bytes");
        return Err(Error::new(ErrorKind::LimitExceeded, message));
    }
    parse(&text).map_err(|error| {
        let message = format!("`{name}`: {}", error.message());
        let hint = error.hint().unwrap_or("record it again").to_owned();
        Error::new(error.kind(), message).with_hint(hint)
    })
}

fn parse(text: &str) -> Result<(Header, Vec<Entry>)> {
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
        _ => return Err(damaged(1)),
    }
    let header = Header::parse(first).ok_or_else(|| damaged(1))?;
    let entries = lines
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| Entry::parse(line).ok_or_else(|| damaged(index + 2)));
    Ok((header, entries.collect::<Result<_>>()?))
}

fn damaged(line: usize) -> Error {
    let message = format!("line {line} is not of a cassette");
    Error::new(ErrorKind::CorruptRecord, message).with_hint("record it again")
}

/// Writes a cassette: beside its place first, so that whoever reads it finds all of it or what was
/// there before.
pub(super) fn write(path: &Path, header: &Header, entries: &[Entry]) -> Result<()> {
    let failed = |error: std::io::Error| {
        let error = Error::from(error);
        let message = format!(
            "cannot write the cassette `{}`: {}",
            path.display(),
            error.message()
        );
        Error::new(error.kind(), message).with_hint("give a path in a folder that can be written")
    };
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    if let Some(folder) = folder {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let beside = path.with_file_name(name);
    let written = write_lines(&beside, header, entries)
        .and_then(|()| fs::rename(&beside, path))
        .map_err(failed);
    if written.is_err() {
        drop(fs::remove_file(&beside));
    }
    written
}

fn write_lines(path: &Path, header: &Header, entries: &[Entry]) -> std::io::Result<()> {
    let mut file = std::io::BufWriter::new(fs::File::create(path)?);
    writeln!(file, "{}", header.to_json())?;
    for entry in entries {
        writeln!(file, "{}", entry.to_json())?;
    }
    file.flush()?;
    file.get_ref().sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(request: Value) -> Entry {
        let call = TapeCall {
            kind: "chat",
            request,
        };
        Entry::new(call, Value::map([("answer", Value::from(f64::NAN))]))
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
        let entries = vec![entry(Value::map([("a", bytes)])), entry(Value::Int(1))];
        write(&path, &header, &entries).unwrap();
        let (read_header, read_entries) = read(&path).unwrap();
        assert_eq!(read_header, header);
        for (read, written) in read_entries.iter().zip(&entries) {
            assert_eq!((&read.kind, read.key), (&written.kind, written.key));
            assert_eq!(
                read.outcome.to_escaped_json(),
                written.outcome.to_escaped_json()
            );
        }
        let beside = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!((read_entries.len(), beside), (2, 1));
    }

    #[test]
    fn the_order_of_members_and_the_kind_of_a_number_are_no_difference() {
        let one = Value::map([("a", Value::Int(1)), ("b", Value::List(Vec::new()))]);
        let other = Value::map([("b", Value::map::<&str>([])), ("a", Value::Float(1.0))]);
        assert_eq!(entry(one).key, entry(other).key);
        assert_ne!(entry(Value::Int(1)).key, entry(Value::from("1")).key);
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
        assert_eq!(parse(&format!("{}\n{good}\n", head(1))).unwrap().1.len(), 1);
        let cases = [
            (head(2), ErrorKind::VersionMismatch, "version 2"),
            (String::new(), ErrorKind::CorruptRecord, "line 1"),
            ("{}".to_owned(), ErrorKind::CorruptRecord, "line 1"),
            (
                format!("{}\n{good}\n{{\"kind\":", head(1)),
                ErrorKind::CorruptRecord,
                "line 3",
            ),
        ];
        for (text, kind, says) in cases {
            let error = parse(&text).unwrap_err();
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
}
