//! HTTP: the one client of the process, and the guarded one that tools are given.

mod guard;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use aikit_core::{Error, Result, io};
use reqwest::{Client, ClientBuilder, redirect};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

pub use guard::GuardedClient;

const USER_AGENT: &str = concat!("aikit/", env!("CARGO_PKG_VERSION"));

const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// The process's HTTP client for addresses that the owner configured, such as a model provider's.
/// Send its requests inside [`io::entered`]: a pooled connection is driven by the runtime that is
/// entered when it is made, and dies or stands still with it. Were that a caller's own, the next
/// request on the connection would fail with "dispatch task is gone", or hang.
///
/// # Errors
///
/// `internal` when the client cannot be made.
pub fn shared() -> Result<Client> {
    // Keyed by process: the connections of a parent do not live in a forked child.
    static SHARED: Mutex<Option<(u32, Client)>> = Mutex::new(None);
    let pid = std::process::id();
    let mut slot = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((owner, client)) = &*slot
        && *owner == pid
    {
        return Ok(client.clone());
    }
    let client = build(builder())?;
    *slot = Some((pid, client.clone()));
    Ok(client)
}

/// What every client has in common. Environment proxies are not used: an address that was
/// checked must be the one that is connected to.
fn builder() -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls().clone())
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
}

fn build(builder: ClientBuilder) -> Result<Client> {
    let _entered = io::runtime().enter();
    builder
        .build()
        .map_err(|error| Error::internal("the HTTP client cannot be made").with_source(error))
}

/// TLS with ring and the roots of Mozilla; plain data, so a forked child may use it.
fn tls() -> &'static ClientConfig {
    static TLS: OnceLock<ClientConfig> = OnceLock::new();
    TLS.get_or_init(|| {
        // Other libraries of the process (rig) take the default provider. An error means that
        // somebody installed one before, which serves as well.
        drop(ring::default_provider().install_default());
        let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
        let roots: RootCertStore = roots.collect();
        #[expect(clippy::expect_used, reason = "ring has the default protocol versions")]
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring serves TLS 1.2 and 1.3");
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    })
}
