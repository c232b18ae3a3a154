//! Telemetry that leaves the process: OTLP, and the names of the conventions for generative AI.

mod batch;
pub(crate) mod genai;
mod metrics;
mod otlp;
mod receiver;
mod wire;

use std::sync::{Arc, LazyLock};

use aikit_core::{Result, logger, telemetry};
use arc_swap::ArcSwapOption;

pub use self::otlp::OtlpProvider;
use crate::{
    config::{Config, Exporter, OtlpSettings},
    security::offline::NetworkSwitch,
};

/// What was put into force last, so that each session of a process does not do it again.
static APPLIED: LazyLock<ArcSwapOption<OtlpSettings>> = LazyLock::new(ArcSwapOption::empty);

/// Puts `[telemetry]` and `[logging]` into force for the process. What is not configured stays as
/// the program set it. Nothing leaves while `network` is closed.
///
/// # Errors
///
/// `config` for an address that is none, `io` for a log file that cannot be written.
pub fn apply(config: &Config, network: &Arc<NetworkSwitch>) -> Result<()> {
    for secret in config.telemetry.header_values() {
        logger::hide(secret);
    }
    if let Some(settings) = config.logging.settings()? {
        logger::install();
        logger::configure(settings);
    }
    if config.telemetry.exporter != Some(Exporter::Otlp) {
        return Ok(());
    }
    let settings = config.telemetry.otlp();
    if APPLIED.load().as_deref() == Some(&settings) && telemetry::is_on() {
        return Ok(());
    }
    let provider = OtlpProvider::new(settings.clone(), Arc::clone(network))?;
    telemetry::set_provider(Arc::new(provider));
    telemetry::set_content_capture(config.telemetry.capture_content);
    APPLIED.store(Some(Arc::new(settings)));
    Ok(())
}
