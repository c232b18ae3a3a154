//! `[telemetry]`: where spans and metrics go, if anywhere, with the standard variables of
//! OpenTelemetry.

use std::{collections::BTreeMap, fmt, time::Duration};

use aikit_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use url::{Host, Url};

use super::Variables;

/// Where a receiver on this machine listens.
const ENDPOINT: &str = "http://localhost:4318";

/// Longest time for one request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The one form of OTLP that is spoken.
const PROTOCOL: &str = "http/protobuf";

/// What sends spans and metrics.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Exporter {
    /// Nothing leaves the process.
    None,
    /// OTLP, http/protobuf.
    Otlp,
}

/// Where OTLP goes and what it says of this program.
#[derive(Clone, PartialEq)]
pub struct OtlpSettings {
    /// Address for spans, such as `http://127.0.0.1:4318/v1/traces`; without one none are sent.
    pub traces: Option<String>,
    /// Address for metrics; without one none are sent.
    pub metrics: Option<String>,
    /// Headers of each request; their values are secrets.
    pub headers: Vec<(String, String)>,
    /// What is told of the program: `service.name` and others.
    pub resource: Vec<(String, String)>,
    /// Longest time for one request.
    pub timeout: Duration,
}

// By hand: headers hold keys.
impl fmt::Debug for OtlpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpSettings")
            .field("resource", &self.resource)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Settings of telemetry.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct TelemetryConfig {
    /// What sends; `otlp` by itself when a receiver is named.
    pub exporter: Option<Exporter>,
    /// Address of the receiver, without `/v1/traces`.
    pub endpoint: Option<String>,
    /// Headers of each request: the name of the variable that holds the value.
    pub headers: BTreeMap<String, String>,
    /// What the program is called.
    pub service_name: Option<String>,
    /// Whether spans carry what was said.
    pub capture_content: bool,
    #[serde(skip)]
    standard: Standard,
}

/// What the standard variables say.
#[derive(Clone, Default)]
struct Standard {
    traces: Option<String>,
    metrics: Option<String>,
    headers: Vec<(String, String)>,
    resource: Vec<(String, String)>,
    timeout: Option<Duration>,
    no_traces: bool,
    no_metrics: bool,
}

// By hand: headers hold keys.
impl fmt::Debug for TelemetryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelemetryConfig")
            .field("exporter", &self.exporter)
            .field("headers", &self.headers.keys())
            .field("service_name", &self.service_name)
            .field("capture_content", &self.capture_content)
            .finish_non_exhaustive()
    }
}

impl TelemetryConfig {
    pub(super) const KEYS: &[&str] = &[
        "capture_content",
        "endpoint",
        "exporter",
        "headers",
        "service_name",
    ];

    /// Keys that let more leave than without them.
    pub(super) const WIDENING: &[&str] = &["capture_content", "endpoint", "exporter", "headers"];

    /// Adds what the standard variables say; the settings of aikit go before them.
    ///
    /// # Errors
    ///
    /// `config` for a header whose variable is not set, and for a protocol that is not spoken.
    pub(super) fn complete(&mut self, variables: &Variables) -> Result<()> {
        let text = |name: &str| variables.get_text(name).map(|it| it.trim().to_owned());
        let is =
            |name: &str, value: &str| text(name).is_some_and(|it| it.eq_ignore_ascii_case(value));
        let base = text("OTEL_EXPORTER_OTLP_ENDPOINT");
        let below = |path: &str| base.as_deref().map(|it| join(it, path));
        self.standard = Standard {
            traces: text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| below("v1/traces")),
            metrics: text("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT").or_else(|| below("v1/metrics")),
            headers: text("OTEL_EXPORTER_OTLP_HEADERS").map_or_else(Vec::new, |it| pairs(&it)),
            resource: text("OTEL_RESOURCE_ATTRIBUTES").map_or_else(Vec::new, |it| pairs(&it)),
            timeout: text("OTEL_EXPORTER_OTLP_TIMEOUT")
                .and_then(|it| it.parse().ok())
                .map(Duration::from_millis),
            no_traces: is("OTEL_TRACES_EXPORTER", "none"),
            no_metrics: is("OTEL_METRICS_EXPORTER", "none"),
        };
        for (header, variable) in &self.headers {
            let value = text(variable).ok_or_else(|| missing(header, variable))?;
            self.standard.headers.push((header.clone(), value));
        }
        self.service_name = self
            .service_name
            .take()
            .or_else(|| text("OTEL_SERVICE_NAME"));
        let captures = ["true", "1", "span_only", "span_and_event"];
        let name = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
        self.capture_content |= captures.iter().any(|it| is(name, it));
        self.choose(variables)
    }

    /// A receiver that is named is sent to, unless somebody said otherwise.
    fn choose(&mut self, variables: &Variables) -> Result<()> {
        let is_disabled = variables
            .get_text("OTEL_SDK_DISABLED")
            .is_some_and(|it| it.trim().eq_ignore_ascii_case("true"));
        let is_implied = self.exporter.is_none();
        let is_named = self.endpoint.is_some()
            || (!is_disabled
                && (self.standard.traces.is_some() || self.standard.metrics.is_some()));
        if is_implied && is_named {
            self.exporter = Some(Exporter::Otlp);
        }
        let protocol = variables.get_text("OTEL_EXPORTER_OTLP_PROTOCOL");
        let Some(protocol) = protocol.filter(|it| it.trim() != PROTOCOL) else {
            return Ok(());
        };
        if self.exporter != Some(Exporter::Otlp) || self.endpoint.is_some() {
            return Ok(());
        }
        if is_implied {
            // The variables were set for other programs.
            tracing::warn!(
                protocol,
                "no telemetry is sent: only `{PROTOCOL}` is spoken"
            );
            self.exporter = None;
            return Ok(());
        }
        let message = format!("OTLP is not sent with the protocol `{protocol}`");
        let hint = format!(
            "set `OTEL_EXPORTER_OTLP_PROTOCOL` to `{PROTOCOL}`, or set `telemetry.endpoint`"
        );
        Err(Error::new(ErrorKind::Config, message).with_hint(hint))
    }

    /// What the exporter is made with.
    pub fn otlp(&self) -> OtlpSettings {
        let standard = &self.standard;
        let named = self.endpoint.as_deref();
        let either = standard.traces.is_some() || standard.metrics.is_some();
        let base = named.or((!either).then_some(ENDPOINT));
        let address = |path: &str, other: &Option<String>| match base {
            Some(base) => Some(join(base, path)),
            None => other.clone(),
        };
        let name = self.service_name.as_deref().unwrap_or("aikit");
        let resource = standard
            .resource
            .iter()
            .filter(|(key, _)| key != "service.name");
        let named_in_resource = || {
            let found = standard
                .resource
                .iter()
                .find(|(key, _)| key == "service.name");
            found
                .map(|(_, value)| value.clone())
                .filter(|_| self.service_name.is_none())
        };
        let name = named_in_resource().unwrap_or_else(|| name.to_owned());
        OtlpSettings {
            traces: address("v1/traces", &standard.traces).filter(|_| !standard.no_traces),
            metrics: address("v1/metrics", &standard.metrics).filter(|_| !standard.no_metrics),
            headers: standard.headers.clone(),
            resource: std::iter::once(("service.name".to_owned(), name))
                .chain(resource.cloned())
                .collect(),
            timeout: standard.timeout.unwrap_or(TIMEOUT),
        }
    }

    /// The values of headers, which are secrets.
    pub fn header_values(&self) -> impl Iterator<Item = &str> {
        self.standard
            .headers
            .iter()
            .map(|(_, value)| value.as_str())
    }
}

/// Whether an address is one of this machine.
pub(super) fn is_here(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn join(base: &str, path: &str) -> String {
    format!("{}/{path}", base.trim_end_matches('/'))
}

/// `a=b,c=d`, the values percent-encoded.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    let decoded = pairs.map(|(key, value)| {
        // A plus sign is itself here, not a blank.
        let value = value.trim().replace('+', "%2B");
        let decoded = url::form_urlencoded::parse(value.as_bytes()).next();
        let decoded = decoded.map_or_else(String::new, |(decoded, _)| decoded.into_owned());
        (key.trim().to_owned(), decoded)
    });
    decoded.filter(|(key, _)| !key.is_empty()).collect()
}

fn missing(header: &str, variable: &str) -> Error {
    let message = format!("the variable `{variable}` of the header `{header}` is not set");
    Error::new(ErrorKind::Config, message)
        .with_hint("`telemetry.headers` names variables, whose values are sent")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(
        config: TelemetryConfig,
        variables: &[(&'static str, &'static str)],
    ) -> Result<TelemetryConfig> {
        let mut config = config;
        config.complete(&Variables::of(variables.iter().copied()))?;
        Ok(config)
    }

    fn standard(variables: &[(&'static str, &'static str)]) -> TelemetryConfig {
        completed(TelemetryConfig::default(), variables).unwrap()
    }

    #[test]
    fn nothing_is_sent_unless_somebody_says_where_or_that() {
        assert_eq!(standard(&[]).exporter, None);
        assert_eq!(standard(&[("OTEL_SERVICE_NAME", "x")]).exporter, None);
        let on = standard(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/")]);
        assert_eq!(on.exporter, Some(Exporter::Otlp));
        assert_eq!(
            on.otlp().traces.as_deref(),
            Some("http://127.0.0.1:4318/v1/traces")
        );
        assert_eq!(
            on.otlp().metrics.as_deref(),
            Some("http://127.0.0.1:4318/v1/metrics")
        );
        let off = standard(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
            ("OTEL_SDK_DISABLED", "true"),
        ]);
        assert_eq!(off.exporter, None);
        let asked = TelemetryConfig {
            exporter: Some(Exporter::Otlp),
            ..TelemetryConfig::default()
        };
        let asked = completed(asked, &[]).unwrap().otlp();
        assert_eq!(
            asked.traces.as_deref(),
            Some("http://localhost:4318/v1/traces")
        );
        let refused = TelemetryConfig {
            exporter: Some(Exporter::None),
            ..TelemetryConfig::default()
        };
        let refused = completed(refused, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://x:1")]);
        assert_eq!(refused.unwrap().exporter, Some(Exporter::None));
    }

    #[test]
    fn the_standard_variables_are_read_as_the_specification_says() {
        let settings = standard(&[
            (
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                "https://a.example/otlp",
            ),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "authorization=Bearer%20a+b, x-team = t",
            ),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.name=other,deployment.environment.name=test",
            ),
            ("OTEL_METRICS_EXPORTER", "none"),
        ])
        .otlp();
        assert_eq!(settings.traces.as_deref(), Some("https://a.example/otlp"));
        assert_eq!(settings.metrics, None);
        let expected = [("authorization", "Bearer a+b"), ("x-team", "t")];
        assert_eq!(
            settings.headers,
            expected.map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
        assert_eq!(settings.timeout, Duration::from_millis(2_500));
        assert_eq!(
            settings.resource[0],
            ("service.name".to_owned(), "other".to_owned())
        );
        assert_eq!(settings.resource.len(), 2);
    }

    #[test]
    fn a_header_names_the_variable_that_holds_its_value() {
        let config = || TelemetryConfig {
            endpoint: Some("http://127.0.0.1:1".to_owned()),
            headers: BTreeMap::from([("api-key".to_owned(), "TOKEN".to_owned())]),
            ..TelemetryConfig::default()
        };
        let config_with = completed(config(), &[("TOKEN", "hidden")]).unwrap();
        assert_eq!(config_with.header_values().collect::<Vec<_>>(), ["hidden"]);
        assert!(!format!("{config_with:?}{:?}", config_with.otlp()).contains("hidden"));
        let error = completed(config(), &[]).unwrap_err();
        assert!(error.message().contains("`TOKEN`"), "{error}");
    }

    #[test]
    fn another_protocol_is_no_reason_to_fail_a_program_that_did_not_ask() {
        let grpc = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ];
        assert_eq!(standard(&grpc).exporter, None);
        let asked = TelemetryConfig {
            exporter: Some(Exporter::Otlp),
            ..TelemetryConfig::default()
        };
        let error = completed(asked, &grpc).unwrap_err();
        assert!(error.message().contains("`grpc`"), "{error}");
    }

    #[test]
    fn content_is_captured_when_the_standard_variable_says_so() {
        let name = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
        for (value, expected) in [
            ("true", true),
            ("SPAN_ONLY", true),
            ("false", false),
            ("no_content", false),
        ] {
            assert_eq!(
                standard(&[(name, value)]).capture_content,
                expected,
                "{value}"
            );
        }
        assert!(!standard(&[]).capture_content);
    }

    #[test]
    fn an_address_of_this_machine_is_known() {
        for here in [
            "http://localhost:1",
            "http://127.9.0.1",
            "https://[::1]:2/x",
        ] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in [
            "http://localhost.example",
            "http://10.0.0.1",
            "localhost",
            "",
        ] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }
}
