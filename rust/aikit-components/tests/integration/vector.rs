//! One suite for every row of `INDEXES`, with a plain scan as the oracle.

use aikit_components::vector::{self, INDEXES};
use aikit_core::{
    ErrorKind,
    storage::{Metric, Scored, VectorIndex},
};

const DIMENSION: usize = 24;

/// Numbers between -1 and 1 that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        #[expect(clippy::cast_precision_loss, reason = "24 bits fit")]
        let number = (self.0 >> 40) as f32;
        number / 8_388_608.0 - 1.0
    }

    /// `count` rows around `centres` centres, as embeddings of texts are.
    fn clustered(&mut self, count: usize, centres: usize) -> Vec<f32> {
        let mut row =
            |scale: f32| -> Vec<f32> { (0..DIMENSION).map(|_| self.next() * scale).collect() };
        let centres: Vec<Vec<f32>> = (0..centres).map(|_| row(1.0)).collect();
        let rows = (0..count).flat_map(|place| {
            let centre = &centres[place % centres.len()];
            let around = row(0.35);
            centre
                .iter()
                .zip(around)
                .map(|(centre, offset)| centre + offset)
                .collect::<Vec<f32>>()
        });
        rows.collect()
    }
}

fn exact_score(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let pairs = || a.iter().zip(b).map(|(x, y)| (f64::from(*x), f64::from(*y)));
    let dot: f64 = pairs().map(|(x, y)| x * y).sum();
    let length = |row: &[f32]| {
        row.iter()
            .map(|x| f64::from(*x).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    match metric {
        Metric::Dot => dot,
        Metric::Cosine => dot / length(a) / length(b),
        Metric::L2 => -pairs().map(|(x, y)| (x - y).powi(2)).sum::<f64>(),
    }
}

fn exact(metric: Metric, rows: &[(u64, &[f32])], query: &[f32], k: usize) -> Vec<u64> {
    let mut scored: Vec<(f64, u64)> = rows
        .iter()
        .map(|(id, row)| (exact_score(metric, query, row), *id))
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    scored.into_iter().take(k).map(|(_, id)| id).collect()
}

fn ids(found: &[Scored]) -> Vec<u64> {
    found.iter().map(|it| it.id).collect()
}

/// Share of the true `k` nearest that the index finds, over many queries.
fn recall(
    index: &dyn VectorIndex,
    rows: &[(u64, &[f32])],
    queries: &[f32],
    filter: Option<fn(u64) -> bool>,
) -> f64 {
    const K: usize = 10;
    let kept: Vec<(u64, &[f32])> = rows
        .iter()
        .copied()
        .filter(|(id, _)| filter.is_none_or(|keep| keep(*id)))
        .collect();
    let (mut found, mut wanted) = (0_u32, 0_u32);
    for query in queries.chunks_exact(DIMENSION) {
        let truth = exact(index.metric(), &kept, query, K);
        let answer = match &filter {
            Some(keep) => index.search(query, K, Some(keep)),
            None => index.search(query, K, None),
        };
        let answer = ids(&answer.unwrap());
        assert_eq!(answer.len(), truth.len());
        for id in truth {
            wanted += 1;
            found += u32::from(answer.contains(&id));
        }
    }
    f64::from(found) / f64::from(wanted)
}

#[test]
fn every_index_finds_the_nearest_of_clustered_rows_in_every_metric() {
    for kind in INDEXES {
        for metric in Metric::ALL {
            let mut numbers = Numbers(7);
            let rows = numbers.clustered(1_600, 40);
            let queries = numbers.clustered(50, 50);
            let index = vector::open(kind.name, DIMENSION, *metric).unwrap();
            let named: Vec<(u64, &[f32])> = (100..).zip(rows.chunks_exact(DIMENSION)).collect();
            let all: Vec<u64> = named.iter().map(|(id, _)| *id).collect();
            index.add(&all, &rows).unwrap();
            let wanted = if kind.name == "flat" { 0.999 } else { 0.95 };
            let reached = recall(&*index, &named, &queries, None);
            assert!(reached >= wanted, "{} {metric:?}: {reached}", kind.name);
            let reached = recall(&*index, &named, &queries, Some(|id| id % 10 == 0));
            assert!(
                reached >= wanted,
                "{} {metric:?}, filtered: {reached}",
                kind.name
            );
        }
    }
}

#[test]
fn deleted_and_replaced_rows_are_never_found() {
    for kind in INDEXES {
        let mut numbers = Numbers(11);
        let rows = numbers.clustered(1_600, 20);
        let queries = numbers.clustered(30, 30);
        let index = vector::open(kind.name, DIMENSION, Metric::Cosine).unwrap();
        let names: Vec<u64> = (0..1_600).collect();
        index.add(&names, &rows).unwrap();
        // Every third goes, every third of the rest moves to where another was.
        let gone: Vec<u64> = names.iter().copied().filter(|id| id % 3 == 0).collect();
        assert_eq!(index.delete(&gone), gone.len());
        assert_eq!(index.delete(&gone), 0);
        let moved: Vec<u64> = names.iter().copied().filter(|id| id % 3 == 1).collect();
        let places = numbers.clustered(moved.len(), 20);
        index.add(&moved, &places).unwrap();
        let mut live: Vec<(u64, &[f32])> = moved
            .iter()
            .copied()
            .zip(places.chunks_exact(DIMENSION))
            .collect();
        let kept = names.iter().copied().zip(rows.chunks_exact(DIMENSION));
        live.extend(kept.filter(|(id, _)| id % 3 == 2));
        assert_eq!(index.len(), live.len());
        for query in queries.chunks_exact(DIMENSION) {
            let found = ids(&index.search(query, 50, None).unwrap());
            assert!(found.iter().all(|id| id % 3 != 0), "{}", kind.name);
        }
        let reached = recall(&*index, &live, &queries, None);
        assert!(reached >= 0.95, "{}: {reached}", kind.name);
    }
}

#[test]
fn scores_are_the_metrics_and_fall() {
    for kind in INDEXES {
        for metric in Metric::ALL {
            let mut numbers = Numbers(3);
            let rows = numbers.clustered(1_100, 10);
            let index = vector::open(kind.name, DIMENSION, *metric).unwrap();
            let names: Vec<u64> = (0..1_100).collect();
            index.add(&names, &rows).unwrap();
            let query = &rows[..DIMENSION];
            let found = index.search(query, 20, None).unwrap();
            assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
            for hit in found {
                let begin = usize::try_from(hit.id).unwrap() * DIMENSION;
                let row = &rows[begin..begin + DIMENSION];
                let difference = f64::from(hit.score) - exact_score(*metric, query, row);
                // 24 products of at most 2, each rounded to 24 bits.
                assert!(difference.abs() < 1e-4, "{} {metric:?}", kind.name);
            }
        }
    }
}

#[test]
fn what_is_no_vector_is_refused_and_nothing_is_added() {
    for kind in INDEXES {
        let index = vector::open(kind.name, 2, Metric::Cosine).unwrap();
        let refused = |ids: &[u64], rows: &[f32], part: &str| {
            let error = index.add(ids, rows).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgs);
            assert!(error.message().contains(part), "{error}");
            assert!(index.is_empty());
        };
        refused(&[1], &[1.0, f32::NAN], "`NaN` at place 1");
        refused(
            &[1, 2],
            &[1.0, 0.0, f32::INFINITY, 0.0],
            "vector 1 (id `2`)",
        );
        refused(&[5], &[0.0, 0.0], "length zero");
        refused(
            &[1],
            &[1.0, 2.0, 3.0],
            "3 numbers are not 1 vectors of dimension 2",
        );
        index.add(&[1], &[3.0, 4.0]).unwrap();
        let error = index.search(&[1.0, 2.0, 3.0], 1, None).unwrap_err();
        assert_eq!(error.message(), "the query has dimension 3, the index 2");
        assert!(index.search(&[f32::NAN, 0.0], 1, None).is_err());
    }
}

#[test]
fn extreme_but_finite_rows_do_no_harm() {
    for kind in INDEXES {
        for metric in Metric::ALL {
            let index = vector::open(kind.name, 2, *metric).unwrap();
            let big = 1e17;
            let mut rows = vec![big, big, -big, -big, big, -big, 1e-40, 1e-40];
            let mut numbers = Numbers(5);
            rows.extend((0..2_200).map(|_| numbers.next()));
            let names: Vec<u64> = (0..1_104).collect();
            index.add(&names, &rows).unwrap();
            let found = index.search(&[1.0, 1.0], 5, None).unwrap();
            assert_eq!(found.len(), 5, "{} {metric:?}", kind.name);
            let longest = index.add(&[1], &[f32::MAX, f32::MAX]);
            assert_eq!(longest.is_ok(), *metric == Metric::Cosine);
        }
    }
}

#[test]
fn an_empty_index_and_equal_rows_are_no_special_case() {
    for kind in INDEXES {
        let index = vector::open(kind.name, 2, Metric::Dot).unwrap();
        assert_eq!(index.search(&[1.0, 0.0], 3, None).unwrap(), []);
        let names: Vec<u64> = (0..1_500).collect();
        index.add(&names, &[1.0, 0.0].repeat(1_500)).unwrap();
        assert_eq!(index.search(&[1.0, 0.0], 3, None).unwrap().len(), 3);
        assert_eq!(index.search(&[1.0, 0.0], 0, None).unwrap(), []);
        assert_eq!(index.search(&[1.0, 0.0], 9_999, None).unwrap().len(), 1_500);
    }
}

#[test]
fn an_unknown_index_or_dimension_is_named() {
    let error = vector::open("tree", 2, Metric::Dot).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.hint(), Some("use one of `flat`, `hnsw`"));
    let error = vector::open("flat", 0, Metric::Dot).unwrap_err();
    assert_eq!(error.message(), "`0` is no dimension of a vector");
}
