//! The connection file: where the five sockets are, and the key that signs every message.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use aikit_core::{Error, ErrorKind, Result, clock::Clock};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::wire::Object;

const SIGNATURE_SCHEME: &str = "hmac-sha256";
const HINT: &str = "let Jupyter write the file, or see `aikit kernel --help`";

/// How messages travel.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Over the network, or the loopback device.
    Tcp,
    /// Over files of this machine.
    Ipc,
}

/// One of the five sockets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SocketName {
    /// Requests, one after the other.
    Shell,
    /// Broadcast of outputs and states.
    Iopub,
    /// Questions of the kernel to the user.
    Stdin,
    /// Requests that must not wait: interrupt, shutdown.
    Control,
    /// Echo, to see that the process lives.
    Heartbeat,
}

impl SocketName {
    /// All of them, in the order of the connection file's fields.
    pub const ALL: [Self; 5] = [
        Self::Shell,
        Self::Iopub,
        Self::Stdin,
        Self::Control,
        Self::Heartbeat,
    ];

    /// Its field of the connection file.
    const fn field(self) -> &'static str {
        match self {
            Self::Shell => "shell_port",
            Self::Iopub => "iopub_port",
            Self::Stdin => "stdin_port",
            Self::Control => "control_port",
            Self::Heartbeat => "hb_port",
        }
    }
}

/// Address of one socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// How messages travel.
    pub transport: Transport,
    /// Address of tcp, start of the path of ipc.
    pub ip: String,
    /// Port of tcp, end of the path of ipc.
    pub port: u16,
}

impl Endpoint {
    /// The file of an ipc socket.
    pub fn ipc_path(&self) -> PathBuf {
        PathBuf::from(format!("{}-{}", self.ip, self.port))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            transport,
            ip,
            port,
        } = self;
        match transport {
            Transport::Tcp if ip.contains(':') => write!(f, "tcp://[{ip}]:{port}"),
            Transport::Tcp => write!(f, "tcp://{ip}:{port}"),
            Transport::Ipc => write!(f, "ipc://{ip}-{port}"),
        }
    }
}

/// What a connection file says.
#[derive(Clone, PartialEq)]
pub struct ConnectionInfo {
    transport: Transport,
    ip: String,
    /// By position in [`SocketName::ALL`]; 0 until a free one is bound.
    ports: [u16; 5],
    key: String,
    /// Fields of others, kept when the file is written again.
    other: Object,
}

// By hand: the key must not reach a log.
impl fmt::Debug for ConnectionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionInfo")
            .field("transport", &self.transport)
            .field("ip", &self.ip)
            .field("ports", &self.ports)
            .finish_non_exhaustive()
    }
}

impl ConnectionInfo {
    /// New connection with a random key. Over tcp `ip` is the address to listen on, and free
    /// ports are taken when the sockets are bound; over ipc it is the start of five file names.
    pub fn create(transport: Transport, ip: impl Into<String>, clock: &dyn Clock) -> Self {
        let ports = match transport {
            Transport::Tcp => [0; 5],
            Transport::Ipc => [1, 2, 3, 4, 5],
        };
        let key = format!("{}{}", clock.uuid().simple(), clock.uuid().simple());
        Self {
            transport,
            ip: ip.into(),
            ports,
            key,
            other: Object::new(),
        }
    }

    /// Reads a connection file.
    ///
    /// # Errors
    ///
    /// As of [`ConnectionInfo::parse`], naming the file; `not_found`, `denied` or `io` when it
    /// cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let named = |error: &Error| {
            let message = format!("connection file `{}`: {}", path.display(), error.message());
            Error::new(error.kind(), message).with_hint(error.hint().unwrap_or(HINT))
        };
        let text = fs::read_to_string(path).map_err(|error| named(&Error::from(error)))?;
        Self::parse(&text).map_err(|error| named(&error))
    }

    /// Reads the text of a connection file.
    ///
    /// # Errors
    ///
    /// `protocol` when it is not a JSON object; `config`, naming the field, when a field is
    /// missing or wrong, or when messages over tcp would not be signed.
    pub fn parse(text: &str) -> Result<Self> {
        let mut fields: Object = serde_json::from_str(text).map_err(|error| {
            let message = format!("it is not a JSON object: {error}");
            Error::new(ErrorKind::Protocol, message)
                .with_hint(HINT)
                .with_source(error)
        })?;
        let transport = match fields.remove("transport") {
            None => Transport::Tcp,
            Some(Value::String(name)) if name == "tcp" => Transport::Tcp,
            Some(Value::String(name)) if name == "ipc" => Transport::Ipc,
            Some(value) => return Err(wrong("transport", &value, "`tcp` or `ipc`")),
        };
        let ip = take_text(&mut fields, "ip")?;
        let key = take_key(&mut fields)?;
        if ip.is_empty() {
            return Err(wrong("ip", &Value::from(ip), "an address"));
        }
        if key.is_empty() && transport == Transport::Tcp {
            return Err(
                wrong("key", &Value::from(key), "not empty over tcp").with_hint(
                    "without a key everybody on this machine can run code: remove the setting that \
                 empties `Session.key`, or use the transport `ipc`",
                ),
            );
        }
        match fields.remove("signature_scheme") {
            None => {}
            Some(Value::String(name)) if name == SIGNATURE_SCHEME => {}
            Some(value) => {
                return Err(wrong("signature_scheme", &value, "`hmac-sha256`"));
            }
        }
        let mut ports = [0; 5];
        for (port, socket) in ports.iter_mut().zip(SocketName::ALL) {
            *port = take_port(&mut fields, socket.field())?;
        }
        Ok(Self {
            transport,
            ip,
            ports,
            key,
            other: fields,
        })
    }

    /// Writes the file, readable for its owner only.
    ///
    /// # Errors
    ///
    /// `io`, `denied`, `not_found` or `no_space`.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(&self.to_fields())
            .map_err(|error| Error::internal("a connection file is JSON").with_source(error))?;
        // Beside it and renamed, so that nobody reads half a file, and an old file's wider mode
        // does not stay.
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let beside = path.with_file_name(name);
        let written = create_private(&beside)
            .and_then(|mut file| file.write_all(&text))
            .and_then(|()| fs::rename(&beside, path));
        written.map_err(|error| {
            // The first error is the one to tell.
            let _ignored = fs::remove_file(&beside);
            let kind = Error::from(error);
            let message = format!("cannot write connection file `{}`: {kind}", path.display());
            Error::new(kind.kind(), message).with_hint("check that the folder exists and is yours")
        })
    }

    /// Address of a socket.
    pub fn endpoint(&self, socket: SocketName) -> Endpoint {
        let port = self.ports[socket as usize];
        Endpoint {
            transport: self.transport,
            ip: self.ip.clone(),
            port,
        }
    }

    /// The key that signs messages; empty for none.
    pub fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn set_port(&mut self, socket: SocketName, port: u16) {
        self.ports[socket as usize] = port;
    }

    fn to_fields(&self) -> Object {
        let mut fields = self.other.clone();
        for (port, socket) in self.ports.iter().zip(SocketName::ALL) {
            fields.insert(socket.field().to_owned(), Value::from(*port));
        }
        let transport = match self.transport {
            Transport::Tcp => "tcp",
            Transport::Ipc => "ipc",
        };
        let texts = [
            ("transport", transport),
            ("ip", self.ip.as_str()),
            ("key", self.key.as_str()),
            ("signature_scheme", SIGNATURE_SCHEME),
        ];
        fields.extend(texts.map(|(name, text)| (name.to_owned(), Value::from(text))));
        fields
    }
}

fn take_text(fields: &mut Object, name: &'static str) -> Result<String> {
    match fields.remove(name) {
        Some(Value::String(text)) => Ok(text),
        Some(value) => Err(wrong(name, &value, "a string")),
        None => Err(missing(name)),
    }
}

fn take_key(fields: &mut Object) -> Result<String> {
    match fields.remove("key") {
        Some(Value::String(key)) => Ok(key),
        // Not shown: it may be the key in a wrong form.
        Some(_) => {
            Err(Error::new(ErrorKind::Config, "the field `key` must be a string").with_hint(HINT))
        }
        None => Err(missing("key")),
    }
}

fn take_port(fields: &mut Object, name: &'static str) -> Result<u16> {
    let value = fields.remove(name).ok_or_else(|| missing(name))?;
    let port = value.as_u64().and_then(|port| u16::try_from(port).ok());
    port.ok_or_else(|| wrong(name, &value, "a port, 0 to 65535"))
}

fn missing(field: &str) -> Error {
    Error::new(ErrorKind::Config, format!("the field `{field}` is missing")).with_hint(HINT)
}

fn wrong(field: &str, value: &Value, wanted: &str) -> Error {
    let message = format!("the field `{field}` is `{value}`, it must be {wanted}");
    Error::new(ErrorKind::Config, message).with_hint(HINT)
}

fn create_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use aikit_core::clock::SystemClock;

    use super::*;

    const GOOD: &str = r#"{"transport":"tcp","ip":"127.0.0.1","key":"k","signature_scheme":
        "hmac-sha256","shell_port":1,"iopub_port":2,"stdin_port":3,"control_port":4,"hb_port":5,
        "kernel_name":"aikit"}"#;

    #[test]
    fn a_good_file_is_read() {
        let info = ConnectionInfo::parse(GOOD).unwrap();
        assert_eq!(
            info.endpoint(SocketName::Control).to_string(),
            "tcp://127.0.0.1:4"
        );
        assert_eq!(info.endpoint(SocketName::Heartbeat).port, 5);
    }

    #[test]
    fn a_wrong_file_is_refused_with_the_field_in_the_error() {
        let cases = [
            (r#""ip":"127.0.0.1""#, r#""ipp":"127.0.0.1""#, "`ip`"),
            (r#""ip":"127.0.0.1""#, r#""ip":"""#, "`ip`"),
            (r#""key":"k""#, r#""key":"""#, "`key`"),
            (r#""key":"k""#, r#""key":7"#, "`key`"),
            (r#""shell_port":1"#, r#""shell_port":"1""#, "`shell_port`"),
            (r#""hb_port":5"#, r#""hb_port":65536"#, "`hb_port`"),
            (
                r#""transport":"tcp""#,
                r#""transport":"udp""#,
                "`transport`",
            ),
            ("hmac-sha256", "hmac-md5", "`signature_scheme`"),
        ];
        for (good, bad, field) in cases {
            let error = ConnectionInfo::parse(&GOOD.replace(good, bad)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
            assert!(error.message().contains(field), "{bad}: {error}");
            assert!(error.hint().is_some());
        }
        for text in ["", "[]", "{", "shell_port=1"] {
            let error = ConnectionInfo::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{text}");
        }
    }

    #[test]
    fn a_file_is_named_in_its_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent.json");
        let error = ConnectionInfo::read(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.message().contains("absent.json"));
    }

    #[test]
    fn a_key_of_a_wrong_type_is_not_shown() {
        for key in ["271828", r#"["271828"]"#, r#"{"k":"271828"}"#] {
            let text = GOOD.replace(r#""key":"k""#, &format!(r#""key":{key}"#));
            let error = ConnectionInfo::parse(&text).unwrap_err();
            assert!(error.message().contains("`key`"), "{error}");
            assert!(!format!("{error:?}").contains("271828"), "{error:?}");
        }
    }

    #[test]
    fn an_empty_key_is_fine_over_ipc() {
        let text = GOOD.replace(r#""transport":"tcp""#, r#""transport":"ipc""#);
        let text = text.replace(r#""key":"k""#, r#""key":"""#);
        assert_eq!(ConnectionInfo::parse(&text).unwrap().key(), "");
    }

    #[test]
    fn a_written_file_is_private_and_keeps_the_fields_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.json");
        fs::write(&path, "old").unwrap();
        let info = ConnectionInfo::parse(GOOD).unwrap();
        info.write(&path).unwrap();
        assert_eq!(ConnectionInfo::read(&path).unwrap(), info);
        assert!(fs::read_to_string(&path).unwrap().contains("kernel_name"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }

    #[test]
    fn two_created_connections_have_different_keys() {
        let create = || ConnectionInfo::create(Transport::Tcp, "127.0.0.1", &SystemClock);
        assert_ne!(create().key(), create().key());
        assert!(!format!("{:?}", create()).contains(create().key()));
    }
}
