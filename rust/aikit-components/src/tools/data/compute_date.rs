//! `compute_date`: reads, writes and computes with dates, times and time zones.

use aikit_core::{
    Error, Result,
    services::Permission,
    tool::{Tool, ToolContext},
};
use croner::parser::{CronParser, Seconds};
use jiff::{Span, Timestamp, Unit, Zoned, civil, fmt::strtime, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest text of an argument, in bytes.
const TEXT_BYTES_MAX: usize = 1000;

#[derive(Debug, Default)]
pub(super) struct ComputeDate;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// `now`; `parse`, read `value`; `format`, write `value` as `format` says; `add` `amount` to
    /// `value`; `difference`, from `value` to `other`; `convert` `value` to `timezone`;
    /// `cron_next`, the next time after `other` (or now) that the cron pattern `value` names.
    operation: Operation,
    /// Date or time: ISO 8601, RFC 9557 or RFC 2822, seconds since 1970 as `@1700000000`, or as
    /// `format` says; now when left out. For `cron_next` a pattern such as `0 9 * * MON-FRI`.
    value: Option<String>,
    /// Second date or time.
    other: Option<String>,
    /// Length of time: ISO 8601 (`P1DT2H`) or words (`2 weeks`, `1 month 3 days`, `-90 minutes`).
    amount: Option<String>,
    /// Time zone (IANA) such as `Europe/Berlin`, or `UTC`: of a value that names none, and of the
    /// result; that of the value, else UTC, when left out.
    timezone: Option<String>,
    /// Pattern of `strftime`, such as `%d.%m.%Y`: how `parse` reads and `format` writes.
    format: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Operation {
    Now,
    Parse,
    Format,
    Add,
    Difference,
    Convert,
    CronNext,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Output {
    /// The time with its zone (RFC 9557): `2024-02-29T10:00:00+01:00[Europe/Berlin]`; for
    /// `difference` the second one.
    datetime: String,
    /// Its parts.
    parts: Parts,
    /// What `format` asked for.
    text: Option<String>,
    /// For `difference`: the length of time (ISO 8601), in calendar units as people count.
    duration: Option<String>,
    /// For `difference`: the same in seconds.
    seconds: Option<f64>,
}

#[derive(Debug, JsonSchema, Serialize)]
struct Parts {
    /// Year.
    year: i16,
    /// Month, 1 to 12.
    month: i8,
    /// Day of the month.
    day: i8,
    /// Hour, 0 to 23.
    hour: i8,
    /// Minute.
    minute: i8,
    /// Second.
    second: i8,
    /// Day of the week: `Monday`, …
    weekday: String,
    /// Day of the year, from 1.
    day_of_year: i16,
    /// Week of the year (ISO 8601), 1 to 53.
    week: i8,
    /// Name of the time zone.
    timezone: String,
    /// Seconds since 1970-01-01 UTC.
    unix_s: i64,
}

impl Tool for ComputeDate {
    const NAME: &'static str = "compute_date";
    const SUMMARY: &'static str = "Tells the time; reads, writes, adds, compares and converts \
                                   dates and times; finds the next time of a cron pattern.";
    const PERMISSIONS: &'static [Permission] = &[];
    type Args = Args;
    type Output = Output;

    async fn call(&self, cx: &ToolContext, args: Args) -> Result<Output> {
        let texts = [
            &args.value,
            &args.other,
            &args.amount,
            &args.timezone,
            &args.format,
        ];
        if texts
            .into_iter()
            .flatten()
            .any(|it| it.len() > TEXT_BYTES_MAX)
        {
            let message = format!("an argument has more than {TEXT_BYTES_MAX} bytes");
            return Err(Error::invalid_args(message).with_hint("give a date, a time or a pattern"));
        }
        let zone = args.timezone.as_deref().map(find_zone).transpose()?;
        let now = Timestamp::from_microsecond(cx.context.clock().now())
            .map_err(|error| Error::internal("the clock is out of range").with_source(error))?
            .to_zoned(TimeZone::UTC);
        Dates { args, zone, now }.compute()
    }
}

/// One call.
struct Dates {
    args: Args,
    zone: Option<TimeZone>,
    now: Zoned,
}

impl Dates {
    fn compute(&self) -> Result<Output> {
        let args = &self.args;
        match args.operation {
            Operation::Now => self.told(&self.now, None),
            Operation::Parse => self.told(&self.value()?, None),
            Operation::Convert => {
                required("timezone", args.timezone.as_ref())?;
                self.told(&self.value()?, None)
            }
            Operation::Format => {
                let format = required("format", args.format.as_ref())?;
                let value = self.in_zone(&self.value()?);
                let text = strtime::format(format, &value).map_err(|error| {
                    wrong(
                        "format",
                        format,
                        &error.to_string(),
                        "write a pattern such as `%Y-%m-%d`",
                    )
                })?;
                self.told(&value, Some(text))
            }
            Operation::Add => {
                let amount = required("amount", args.amount.as_ref())?;
                let span = parse_span(amount)?;
                let sum = self.in_zone(&self.value()?).checked_add(span);
                let sum = sum.map_err(|error| {
                    wrong(
                        "amount",
                        amount,
                        &error.to_string(),
                        "stay within the years -9999 to 9999",
                    )
                })?;
                self.told(&sum, None)
            }
            Operation::Difference => self.difference(),
            Operation::CronNext => self.cron_next(),
        }
    }

    fn difference(&self) -> Result<Output> {
        let other = required("other", self.args.other.as_ref())?;
        let from = self.in_zone(&self.value()?);
        // Days and months are counted in one zone.
        let to = self
            .read("other", other)?
            .with_time_zone(from.time_zone().clone());
        let span = from.until((Unit::Year, &to)).map_err(|error| {
            wrong(
                "other",
                other,
                &error.to_string(),
                "stay within the years -9999 to 9999",
            )
        })?;
        let exact = from.duration_until(&to);
        let mut output = self.told(&to, None)?;
        output.duration = Some(span.to_string());
        output.seconds = Some(exact.as_secs_f64());
        Ok(output)
    }

    fn cron_next(&self) -> Result<Output> {
        let pattern = required("value", self.args.value.as_ref())?;
        let hint = "write five fields, as in `*/15 9-17 * * MON-FRI`; a sixth in front is seconds";
        let refused = |why: String| wrong("value", pattern, &why, hint);
        let parser = CronParser::builder().seconds(Seconds::Optional).build();
        let cron = parser
            .parse(pattern)
            .map_err(|error| refused(error.to_string()))?;
        let start = match &self.args.other {
            Some(other) => self.read("other", other)?,
            None => self.now.clone(),
        };
        let next = cron.find_next_occurrence(&self.in_zone(&start), false);
        self.told(&next.map_err(|error| refused(error.to_string()))?, None)
    }

    fn value(&self) -> Result<Zoned> {
        match &self.args.value {
            Some(value) => self.read("value", value),
            None => Ok(self.now.clone()),
        }
    }

    fn read(&self, name: &str, text: &str) -> Result<Zoned> {
        let zone = self.zone.clone().unwrap_or(TimeZone::UTC);
        let text = text.trim();
        let hint = "write `2024-02-29`, `2024-02-29T10:00:00+01:00` or `@1700000000`, or say with \
                    `format` how it is written";
        let is_formatted = matches!(self.args.operation, Operation::Parse) && name == "value";
        if let Some(format) = self.args.format.as_ref().filter(|_| is_formatted) {
            let refused = |error: jiff::Error| {
                wrong(
                    name,
                    text,
                    &error.to_string(),
                    "make `format` fit the value",
                )
            };
            let parsed = strtime::parse(format, text).map_err(refused)?;
            if let Ok(zoned) = parsed.to_zoned() {
                return Ok(zoned);
            }
            let naive = parsed.to_datetime();
            let naive = naive.or_else(|_| parsed.to_date().map(civil::DateTime::from));
            return naive.and_then(|it| it.to_zoned(zone)).map_err(refused);
        }
        if let Some(seconds) = text.strip_prefix('@') {
            let seconds = seconds
                .parse()
                .ok()
                .and_then(|it| Timestamp::from_second(it).ok());
            return seconds
                .map(|it| it.to_zoned(zone))
                .ok_or_else(|| wrong(name, text, "it is no number of seconds", hint));
        }
        if let Ok(zoned) = text.parse::<Zoned>() {
            return Ok(zoned);
        }
        if let Ok(zoned) = jiff::fmt::rfc2822::parse(text) {
            return Ok(zoned);
        }
        // An offset without a name of a zone: the moment is known, its zone is the offset.
        if let Ok(pieces) = jiff::fmt::temporal::Pieces::parse(text)
            && let Ok(moment) = text.parse::<Timestamp>()
        {
            let offset = pieces.to_numeric_offset().map(TimeZone::fixed);
            return Ok(moment.to_zoned(offset.unwrap_or(TimeZone::UTC)));
        }
        let naive = text.parse::<civil::DateTime>();
        naive
            .and_then(|it| it.to_zoned(zone))
            .map_err(|error| wrong(name, text, &error.to_string(), hint))
    }

    /// In the zone that was asked for.
    fn in_zone(&self, value: &Zoned) -> Zoned {
        match &self.zone {
            Some(zone) => value.with_time_zone(zone.clone()),
            None => value.clone(),
        }
    }

    fn told(&self, value: &Zoned, text: Option<String>) -> Result<Output> {
        let value = self.in_zone(value);
        let name = match value.time_zone().iana_name() {
            Some(name) => name.to_owned(),
            None => value.offset().to_string(),
        };
        let weekday = strtime::format("%A", &value)
            .map_err(|error| Error::internal("a day has no name").with_source(error))?;
        Ok(Output {
            datetime: value.to_string(),
            parts: Parts {
                year: value.year(),
                month: value.month(),
                day: value.day(),
                hour: value.hour(),
                minute: value.minute(),
                second: value.second(),
                weekday,
                day_of_year: value.day_of_year(),
                week: value.date().iso_week_date().week(),
                timezone: name,
                unix_s: value.timestamp().as_second(),
            },
            text,
            duration: None,
            seconds: None,
        })
    }
}

fn find_zone(name: &str) -> Result<TimeZone> {
    let parser = jiff::fmt::temporal::DateTimeParser::new();
    parser.parse_time_zone(name.trim()).map_err(|error| {
        wrong(
            "timezone",
            name,
            &error.to_string(),
            "name a zone such as `Europe/Berlin`, `UTC` or `+02:00`",
        )
    })
}

fn parse_span(text: &str) -> Result<Span> {
    text.trim().parse().map_err(|error: jiff::Error| {
        wrong(
            "amount",
            text,
            &error.to_string(),
            "write `P1DT2H`, `2 weeks` or `-90 minutes`",
        )
    })
}

fn required<'a>(name: &str, value: Option<&'a String>) -> Result<&'a String> {
    value.ok_or_else(|| {
        Error::invalid_args(format!("`{name}` is missing"))
            .with_hint(format!("this operation needs `{name}`"))
    })
}

fn wrong(name: &str, text: &str, why: &str, hint: &str) -> Error {
    Error::invalid_args(format!("`{name}` is `{text}`: {why}")).with_hint(hint)
}
