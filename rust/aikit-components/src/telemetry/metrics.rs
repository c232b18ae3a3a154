//! Sums and distributions since a process began, as OTLP sends them.

use std::collections::HashMap;

use aikit_core::{clock::UnixMicros, span::Attribute, telemetry::Instrument};

use super::{
    genai,
    wire::{CUMULATIVE, Data, Histogram, HistogramPoint, KeyValue, Metric, NumberPoint, Sum},
};

/// Sets of attributes that all metrics of a process may have together; what comes beyond is lost
/// and counted, because an attribute that is different each time would fill the memory.
const SERIES_MAX: usize = 2_000;

/// Upper bounds where nobody named better ones: those of the OpenTelemetry SDKs.
const BOUNDS: &[f64] = &[
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

/// Everything that was measured.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    /// In the order of their first values.
    instruments: Vec<(Instrument, Kind)>,
    series: usize,
    is_changed: bool,
}

#[derive(Debug)]
enum Kind {
    Sum(HashMap<String, (Vec<KeyValue>, f64)>),
    Histogram(HashMap<String, (Vec<KeyValue>, Distribution)>),
}

#[derive(Debug)]
struct Distribution {
    bounds: &'static [f64],
    counts: Vec<u64>,
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

impl Distribution {
    fn new(bounds: &'static [f64]) -> Self {
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

impl Metrics {
    /// Adds a value; `false` when there is no room for its attributes.
    pub(super) fn add(&mut self, measured: Measured) -> bool {
        let Measured {
            instrument,
            is_histogram,
            value,
            mut attributes,
        } = measured;
        attributes.sort_by(|a, b| a.0.cmp(&b.0));
        let key = format!("{attributes:?}");
        let fits = |kind: &Kind| matches!(kind, Kind::Histogram(_)) == is_histogram;
        let known = self
            .instruments
            .iter()
            .position(|(known, kind)| *known == instrument && fits(kind));
        let bounds = genai::bounds(&instrument.name).unwrap_or(BOUNDS);
        let index = known.unwrap_or_else(|| {
            let kind = if is_histogram {
                Kind::Histogram(HashMap::new())
            } else {
                Kind::Sum(HashMap::new())
            };
            self.instruments.push((instrument, kind));
            self.instruments.len() - 1
        });
        let has_room = self.series < SERIES_MAX;
        let is_new = match &mut self.instruments[index].1 {
            Kind::Sum(series) => {
                let is_new = !series.contains_key(&key);
                if is_new && !has_room {
                    return false;
                }
                series
                    .entry(key)
                    .or_insert_with(|| (wired(&attributes), 0.0))
                    .1 += value;
                is_new
            }
            Kind::Histogram(series) => {
                let is_new = !series.contains_key(&key);
                if is_new && !has_room {
                    return false;
                }
                let new = || (wired(&attributes), Distribution::new(bounds));
                series.entry(key).or_insert_with(new).1.record(value);
                is_new
            }
        };
        self.series += usize::from(is_new);
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
        let metrics = self.instruments.iter().map(|(instrument, kind)| Metric {
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
    use aikit_core::Value;

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
    fn sums_add_up_by_their_attributes_and_their_number_is_bounded() {
        let mut metrics = Metrics::default();
        for tag in 0..SERIES_MAX {
            assert!(metrics.add(measured("c", false, 1.0, tag)));
        }
        assert!(!metrics.add(measured("c", false, 1.0, SERIES_MAX)));
        assert!(metrics.add(measured("c", false, 2.5, 7)));
        let taken = metrics.take(0, 1);
        let Some(Data::Sum(sum)) = &taken[0].data else {
            panic!("{taken:?}");
        };
        assert_eq!(sum.data_points.len(), SERIES_MAX);
        let of_seven = sum.data_points.iter().find(|it| it.as_double == Some(3.5));
        assert!(of_seven.is_some() && sum.is_monotonic);
    }
}
