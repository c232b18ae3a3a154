//! HTTP: the guarded client, through which all requests leave, and the connections it keeps.

mod guard;
mod pool;

use std::sync::{Arc, OnceLock};

use aikit_core::{Error, Result, io};
use reqwest::{Client, ClientBuilder, redirect};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

pub use guard::GuardedClient;

const USER_AGENT: &str = concat!("aikit/", env!("CARGO_PKG_VERSION"));

const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

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
