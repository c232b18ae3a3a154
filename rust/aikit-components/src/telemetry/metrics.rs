//! Sums and distributions since a process began, as OTLP sends them.

use std::collections::HashMap;

use aikit_core::{Value, clock::UnixMicros, span::Attribute, telemetry::Instrument};
use indexmap::{IndexMap, map::Entry};

use super::{
    genai,
    wire::{CUMULATIVE, Data, Histogram, HistogramPoint, KeyValue, Metric, NumberPoint, Sum},
};

/// Instruments of a process; values of those beyond are lost and counted.
const INSTRUMENTS_MAX: usize = 1_000;

/// Sets of attributes that all metrics of a process have together. An attribute that is different
/// each time would fill the memory, so what comes beyond is measured without its attributes, in one
/// set of each instrument that says [`OVERFLOW`].
///
/// Source: OpenTelemetry specification, metrics SDK, cardinality limits.
const SERIES_MAX: usize = 2_000;

/// Bytes of one set of attributes; a longer one counts as one beyond the limit.
const ATTRIBUTES_BYTES_MAX: usize = 4_096;

/// The attribute of what is measured without its own.
const OVERFLOW: &str = "otel.metric.overflow";

/// Upper bounds where nobody named better ones: those of the OpenTelemetry SDKs.
const BOUNDS: Bounds = &[
    0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1_000.0, 2_500.0, 5_000.0,
    7_500.0, 10_000.0,
];

/// One value of an instrument.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) instrument: Instrument,
    pub(super) is_histogram: bool,
    pub(super) value: f64,
    pub(super) attributes: Vec<Attribute>,
}

/// Everything that was measured: at most [`SERIES_MAX`] sets of attributes and one more of each of
/// at most [`INSTRUMENTS_MAX`] instruments.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    /// In the order of their first values.
    instruments: IndexMap<(Instrument, bool), Kind>,
    series: usize,
    is_changed: bool,
}

#[derive(Debug)]
enum Kind {
    Sum(HashMap<String, (Vec<KeyValue>, f64)>),
    Histogram(HashMap<String, (Vec<KeyValue>, Distribution)>),
}

/// Upper bounds of buckets, ascending.
type Bounds = &'static [f64];

#[derive(Debug)]
struct Distribution {
    bounds: Bounds,
    counts: Vec<u64>,
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

impl Distribution {
    fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            counts: vec![0; bounds.len() + 1],
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }

    fn record(&mut self, value: f64) {
        // A bucket holds what is greater than the bound before it and at most its own.
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket] += 1;
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }
}

impl Kind {
    fn new(is_histogram: bool) -> Self {
        if is_histogram {
            Self::Histogram(HashMap::new())
        } else {
            Self::Sum(HashMap::new())
        }
    }

    fn knows(&self, key: &str) -> bool {
        match self {
            Self::Sum(series) => series.contains_key(key),
            Self::Histogram(series) => series.contains_key(key),
        }
    }

    fn add(&mut self, key: String, attributes: &[Attribute], (value, bounds): (f64, Bounds)) {
        match self {
            Self::Sum(series) => {
                let new = || (wired(attributes), 0.0);
                series.entry(key).or_insert_with(new).1 += value;
            }
            Self::Histogram(series) => {
                let new = || (wired(attributes), Distribution::new(bounds));
                series.entry(key).or_insert_with(new).1.record(value);
            }
        }
    }
}

impl Metrics {
    /// Adds a value; `false` when there is no room for its instrument.
    pub(super) fn add(&mut self, measured: Measured) -> bool {
        let Measured {
            instrument,
            is_histogram,
            value,
            mut attributes,
        } = measured;
        let bounds = genai::bounds(&instrument.name).unwrap_or(BOUNDS);
        let count = self.instruments.len();
        let kind = match self.instruments.entry((instrument, is_histogram)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if count >= INSTRUMENTS_MAX => return false,
            Entry::Vacant(new) => new.insert(Kind::new(is_histogram)),
        };
        attributes.sort_by(|a, b| a.0.cmp(&b.0));
        let mut key = format!("{attributes:?}");
        if !kind.knows(&key) {
            if self.series < SERIES_MAX && key.len() <= ATTRIBUTES_BYTES_MAX {
                self.series += 1;
            } else {
                attributes = vec![(OVERFLOW.into(), Value::Bool(true))];
                OVERFLOW.clone_into(&mut key);
            }
        }
        kind.add(key, &attributes, (value, bounds));
        self.is_changed = true;
        true
    }

    /// Whether anything was added since the last [`Metrics::take`].
    pub(super) const fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// Everything, from `started` until `now`.
    pub(super) fn take(&mut self, started: UnixMicros, now: UnixMicros) -> Vec<Metric> {
        self.is_changed = false;
        let time = (nanos(started), nanos(now));
        let metrics = self
            .instruments
            .iter()
            .map(|((instrument, _), kind)| Metric {
                name: instrument.name.clone(),
                description: instrument.description.clone(),
                unit: instrument.unit.clone(),
                data: Some(data(kind, time)),
            });
        metrics.collect()
    }
}

fn data(kind: &Kind, (start_time_unix_nano, time_unix_nano): (u64, u64)) -> Data {
    match kind {
        Kind::Sum(series) => {
            let points = series.values().map(|(attributes, sum)| NumberPoint {
                start_time_unix_nano,
                time_unix_nano,
                as_double: Some(*sum),
                attributes: attributes.clone(),
            });
            Data::Sum(Sum {
                data_points: points.collect(),
                aggregation_temporality: CUMULATIVE,
                is_monotonic: true,
            })
        }
        Kind::Histogram(series) => {
            let points = series.values().map(|(attributes, it)| HistogramPoint {
                start_time_unix_nano,
                time_unix_nano,
                count: it.count,
                sum: Some(it.sum),
                bucket_counts: it.counts.clone(),
                explicit_bounds: it.bounds.to_vec(),
                attributes: attributes.clone(),
                min: Some(it.min),
                max: Some(it.max),
            });
            Data::Histogram(Histogram {
                data_points: points.collect(),
                aggregation_temporality: CUMULATIVE,
            })
        }
    }
}

fn wired(attributes: &[Attribute]) -> Vec<KeyValue> {
    let attributes = attributes.iter();
    attributes
        .map(|(key, value)| KeyValue::new(key, value))
        .collect()
}

/// Nanoseconds since 1970; 0 for what lies before.
pub(super) fn nanos(time: UnixMicros) -> u64 {
    u64::try_from(time)
        .unwrap_or_default()
        .saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(name: &str, is_histogram: bool, value: f64, tag: usize) -> Measured {
        Measured {
            instrument: Instrument {
                name: name.to_owned(),
                unit: "s".to_owned(),
                description: String::new(),
            },
            is_histogram,
            value,
            attributes: vec![("tag".into(), Value::from(tag))],
        }
    }

    #[test]
    fn a_distribution_counts_what_is_at_most_its_bounds() {
        let mut metrics = Metrics::default();
        for value in [-1.0, 0.0, 5.0, 5.1, 20_000.0] {
            assert!(metrics.add(measured("h", true, value, 0)));
        }
        assert!(metrics.is_changed());
        let taken = metrics.take(1, 2);
        assert!(!metrics.is_changed());
        let Some(Data::Histogram(histogram)) = &taken[0].data else {
            panic!("{taken:?}");
        };
        let point = &histogram.data_points[0];
        assert_eq!(point.bucket_counts[..3], [2, 1, 1]);
        assert_eq!(point.bucket_counts.last(), Some(&1));
        assert_eq!(
            (point.count, point.min, point.max),
            (5, Some(-1.0), Some(20_000.0))
        );
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    }

    #[test]
    fn sums_add_up_by_their_attributes() {
        let mut metrics = Metrics::default();
        for (tag, value) in [(6, 1.0), (7, 1.0), (7, 2.5)] {
            assert!(metrics.add(measured("c", false, value, tag)));
        }
        let taken = metrics.take(0, 1);
        let Some(Data::Sum(sum)) = &taken[0].data else {
            panic!("{taken:?}");
        };
        let mut sums: Vec<_> = sum.data_points.iter().map(|it| it.as_double).collect();
        sums.sort_by(|a, b| a.partial_cmp(b).unwrap());
        assert_eq!(sums, [Some(1.0), Some(3.5)]);
        assert!(sum.is_monotonic);
    }

    /// Sets of attributes that are kept, and what was measured in all of them, and in those that
    /// say that there was no room.
    fn held(metrics: &mut Metrics) -> (usize, f64, f64) {
        let (mut series, mut all, mut beyond) = (0, 0.0, 0.0);
        let is_overflow = |attributes: &[KeyValue]| attributes.iter().any(|it| it.key == OVERFLOW);
        for metric in metrics.take(0, 1) {
            let points: Vec<(f64, bool)> = match metric.data.unwrap() {
                Data::Sum(sum) => sum
                    .data_points
                    .iter()
                    .map(|it| (it.as_double.unwrap(), is_overflow(&it.attributes)))
                    .collect(),
                Data::Histogram(histogram) => histogram
                    .data_points
                    .iter()
                    .map(|it| (it.sum.unwrap(), is_overflow(&it.attributes)))
                    .collect(),
            };
            series += points.len();
            all += points.iter().map(|it| it.0).sum::<f64>();
            beyond += points.iter().filter(|it| it.1).map(|it| it.0).sum::<f64>();
        }
        (series, all, beyond)
    }

    #[test]
    fn what_has_no_room_is_measured_without_its_attributes() {
        let mut metrics = Metrics::default();
        for tag in 0..SERIES_MAX + 10 {
            assert!(metrics.add(measured("c", false, 1.0, tag)));
        }
        // A known one is told apart for ever.
        assert!(metrics.add(measured("c", false, 5.0, 7)));
        // So is another instrument, though not by its attributes.
        assert!(metrics.add(measured("h", true, 2.0, 0)));
        let all = 2_017.0;
        assert_eq!(held(&mut metrics), (SERIES_MAX + 2, all, 12.0));
        // One set that is very large is one too many.
        let mut large = measured("c", false, 1.0, 0);
        large.attributes = vec![("text".into(), Value::from("x".repeat(ATTRIBUTES_BYTES_MAX)))];
        let mut metrics = Metrics::default();
        assert!(metrics.add(large));
        assert_eq!(held(&mut metrics), (1, 1.0, 1.0));
    }

    #[test]
    fn no_sequence_of_names_and_attributes_takes_more_room_than_the_limits() {
        // A linear congruential generator: the same sequences each time.
        let mut state = 42_u64;
        let mut draw = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        for (names, tags) in [(1, 10_000), (50, 200), (3_000, 1), (3_000, 10_000)] {
            let mut metrics = Metrics::default();
            let (mut kept, mut lost) = (0.0, 0_u32);
            for _ in 0..20_000 {
                let name = format!("n{}", draw(names));
                let tag = usize::try_from(draw(tags)).unwrap();
                let added = metrics.add(measured(&name, draw(2) == 1, 1.0, tag));
                kept += f64::from(u8::from(added));
                lost += u32::from(!added);
            }
            assert!(metrics.instruments.len() <= INSTRUMENTS_MAX);
            let (series, all, _) = held(&mut metrics);
            assert!(series <= SERIES_MAX + INSTRUMENTS_MAX, "{series}");
            // Nothing that was taken is lost, and all that was not is known.
            assert_eq!((all, kept + f64::from(lost)), (kept, 20_000.0));
            assert_eq!(lost > 0, names > 1_000, "{lost} of {names}");
        }
    }
}
