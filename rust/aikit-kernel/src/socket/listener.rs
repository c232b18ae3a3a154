//! Binding over tcp and ipc, and accepting connections.

use std::{io, net::SocketAddr};

use aikit_core::{Error, ErrorKind, Result};
use tokio::net::{TcpListener, TcpStream};

use super::zmtp::{Reader, Writer};
use crate::connection::{Endpoint, Transport};

/// A bound address.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Ipc(unix::SocketFile),
}

impl Listener {
    /// Binds `endpoint`; port 0 of tcp takes a free one.
    ///
    /// # Errors
    ///
    /// `config` when the address is wrong or taken.
    pub(super) async fn bind(endpoint: &Endpoint) -> Result<Self> {
        match endpoint.transport {
            Transport::Tcp => {
                let address = (endpoint.ip.as_str(), endpoint.port);
                let bound = TcpListener::bind(address).await;
                bound
                    .map(Self::Tcp)
                    .map_err(|error| refused(endpoint, error))
            }
            #[cfg(unix)]
            Transport::Ipc => {
                let bound = unix::SocketFile::bind(endpoint.ipc_path());
                bound
                    .map(Self::Ipc)
                    .map_err(|error| refused(endpoint, error))
            }
            #[cfg(not(unix))]
            Transport::Ipc => Err(refused(endpoint, io::ErrorKind::Unsupported.into())),
        }
    }

    /// The port that was bound; that of `endpoint` for ipc.
    pub(super) fn port(&self, endpoint: &Endpoint) -> u16 {
        match self {
            Self::Tcp(listener) => listener
                .local_addr()
                .as_ref()
                .map_or(endpoint.port, SocketAddr::port),
            #[cfg(unix)]
            Self::Ipc(_) => endpoint.port,
        }
    }

    /// Waits for the next connection.
    pub(super) async fn accept(&self) -> io::Result<(Reader, Writer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                split_tcp(stream)
            }
            #[cfg(unix)]
            Self::Ipc(file) => file.accept().await,
        }
    }
}

fn split_tcp(stream: TcpStream) -> io::Result<(Reader, Writer)> {
    // Replies are small and somebody waits for each.
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    Ok((Box::pin(reader), Box::pin(writer)))
}

fn refused(endpoint: &Endpoint, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program uses this address: start the kernel with a new connection file"
        }
        _ => "check `transport`, `ip` and the ports in the connection file",
    };
    Error::new(
        ErrorKind::Config,
        format!("cannot listen on `{endpoint}`: {error}"),
    )
    .with_hint(hint)
    .with_source(error)
}

#[cfg(unix)]
mod unix {
    use std::{
        fs, io,
        os::unix::{
            fs::{FileTypeExt, PermissionsExt},
            net::UnixStream as BlockingStream,
        },
        path::PathBuf,
    };

    use tokio::net::{UnixListener, UnixSocket};

    /// Connections that wait to be accepted.
    const BACKLOG: u32 = 128;

    use super::{Reader, Writer};

    /// A listening socket in the file system; the file goes away with it.
    #[derive(Debug)]
    pub(in crate::socket) struct SocketFile {
        listener: UnixListener,
        path: PathBuf,
    }

    impl SocketFile {
        pub(super) fn bind(path: PathBuf) -> io::Result<Self> {
            // A kernel that was killed leaves its file; a restart uses the same path.
            let is_socket = fs::metadata(&path).is_ok_and(|it| it.file_type().is_socket());
            if is_socket && BlockingStream::connect(&path).is_err() {
                fs::remove_file(&path)?;
            }
            let socket = UnixSocket::new_stream()?;
            socket.bind(&path)?;
            // Before it listens: until then nobody can connect, whatever the umask made of the file.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            let listener = socket.listen(BACKLOG)?;
            Ok(Self { listener, path })
        }

        pub(super) async fn accept(&self) -> io::Result<(Reader, Writer)> {
            let (stream, _) = self.listener.accept().await?;
            let (reader, writer) = stream.into_split();
            Ok((Box::pin(reader), Box::pin(writer)))
        }
    }

    impl Drop for SocketFile {
        fn drop(&mut self) {
            // Nothing can be done about a file that stays; the next kernel removes it.
            let _ignored = fs::remove_file(&self.path);
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn the_file_of_an_ipc_socket_is_the_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = Endpoint {
            transport: Transport::Ipc,
            ip: folder.path().join("kernel").display().to_string(),
            port: 1,
        };
        let path = endpoint.ipc_path();
        let bound = aikit_core::io::wait(async move { Listener::bind(&endpoint).await }, || Ok(()));
        let listener = bound.unwrap().unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(listener);
        assert!(!path.exists());
    }
}
