//! Fusion: one order from what two kinds of search found.

use std::collections::HashMap;

use aikit_core::storage::{ChunkId, Scored};
use serde::{Deserialize, Serialize};

/// Ranks count less the further down they are; with this added, the first few are near each other.
/// Source: Cormack, Clarke & Büttcher 2009.
const RANK_OFFSET: f32 = 60.0;

/// How two lists become one.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fusion {
    /// A weighted sum of the scores, each brought to 0 to 1 within its list.
    /// Source: Bruch, Gai & Ingber 2023.
    #[default]
    Convex,
    /// A weighted sum of reciprocal ranks, whatever the scores are.
    Rrf,
}

/// What each kind of search said of a chunk, and both together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fused {
    pub(super) id: ChunkId,
    /// 0 to 1 for `convex`; small for `rrf`.
    pub(super) score: f32,
    pub(super) dense: Option<f32>,
    pub(super) keyword: Option<f32>,
}

/// How much each list counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Weights {
    /// A share of the dense list, 0 to 1; the keyword list has the rest.
    Shared(f32),
    /// The keyword list counts whole, and the dense list, so much, for what the other does not have:
    /// where both weigh the same words, adding them would count one reason twice.
    Rest(f32),
}

/// Fuses two lists that are ordered best first, of at most `most` hits each. The answer is ordered
/// best first, equal scores by the vectors and then by id.
pub(super) fn fuse(
    fusion: Fusion,
    (dense, keyword): (&[Scored], &[Scored]),
    most: usize,
    weights: Weights,
) -> Vec<Fused> {
    let mut fused: HashMap<ChunkId, Fused> = HashMap::with_capacity(dense.len() + keyword.len());
    let (dense_weight, keyword_weight) = match weights {
        Weights::Shared(weight) => (weight, 1.0 - weight),
        Weights::Rest(weight) => (weight, 1.0),
    };
    let is_rest = matches!(weights, Weights::Rest(_));
    let lists = [(keyword, keyword_weight), (dense, dense_weight)];
    for (place, (list, weight)) in lists.into_iter().enumerate() {
        let least = least(list, most);
        for (rank, hit) in list.iter().enumerate() {
            let part = match fusion {
                Fusion::Convex => normalised(hit.score, list, least),
                Fusion::Rrf => reciprocal(rank),
            };
            let entry = fused.entry(hit.id).or_insert(Fused {
                id: hit.id,
                score: 0.0,
                dense: None,
                keyword: None,
            });
            let is_dense = place == 1;
            if !(is_dense && is_rest && entry.keyword.is_some()) {
                entry.score += weight * part;
            }
            if is_dense {
                entry.dense = Some(hit.score);
            } else {
                entry.keyword = Some(hit.score);
            }
        }
    }
    let mut fused: Vec<Fused> = fused.into_values().collect();
    // Of equal scores the vectors decide: the order of ids is only that of the ingest.
    let dense = |it: &Fused| it.dense.unwrap_or(f32::MIN);
    fused.sort_by(|a, b| {
        let by_score = b.score.total_cmp(&a.score);
        let by_dense = || dense(b).total_cmp(&dense(a));
        by_score.then_with(by_dense).then(a.id.cmp(&b.id))
    });
    fused
}

/// The score that counts nothing: where a full list ends, for what comes after it may be as good; in
/// a list of all there is, what has nothing in common with the question.
fn least(list: &[Scored], most: usize) -> f32 {
    let end = list.last().map_or(0.0, |hit| hit.score);
    if list.len() < most { end.min(0.0) } else { end }
}

/// A score within its list: 1 for the best, 0 for `least`.
fn normalised(score: f32, list: &[Scored], least: f32) -> f32 {
    let best = list.first().map_or(least, |hit| hit.score);
    let range = best - least;
    if range > 0.0 {
        (score - least) / range
    } else {
        1.0
    }
}

#[expect(clippy::cast_precision_loss, reason = "ranks are small")]
fn reciprocal(rank: usize) -> f32 {
    1.0 / (RANK_OFFSET + 1.0 + rank as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(hits: &[(u64, f32)]) -> Vec<Scored> {
        let hits = hits.iter().map(|(id, score)| Scored {
            id: *id,
            score: *score,
        });
        hits.collect()
    }

    fn ids(fused: &[Fused]) -> Vec<u64> {
        fused.iter().map(|it| it.id).collect()
    }

    #[test]
    fn weights_decide_between_the_two_lists() {
        let dense = list(&[(1, 0.9), (2, 0.5), (3, 0.1)]);
        let keyword = list(&[(3, 20.0), (2, 15.0), (1, 10.0)]);
        let of = |weight| {
            fuse(
                Fusion::Convex,
                (&dense, &keyword),
                3,
                Weights::Shared(weight),
            )
        };
        assert_eq!(ids(&of(1.0)), [1, 2, 3]);
        assert_eq!(ids(&of(0.0)), [3, 2, 1]);
        let half = of(0.5);
        assert_eq!(ids(&half), [1, 2, 3]);
        assert!(half.iter().all(|it| (it.score - 0.5).abs() < 1e-6));
        assert_eq!((half[0].dense, half[0].keyword), (Some(0.9), Some(10.0)));
    }

    #[test]
    fn what_one_list_alone_has_is_kept() {
        let (dense, keyword) = (list(&[(7, 0.3)]), list(&[(8, 4.0)]));
        let fused = fuse(Fusion::Convex, (&dense, &keyword), 1, Weights::Shared(0.2));
        assert_eq!(ids(&fused), [8, 7]);
        assert_eq!((fused[1].dense, fused[1].keyword), (Some(0.3), None));
        assert!((fused[0].score - 0.8).abs() < 1e-6 && (fused[1].score - 0.2).abs() < 1e-6);
        assert_eq!(fuse(Fusion::Rrf, (&[], &[]), 1, Weights::Shared(0.5)), []);
    }

    #[test]
    fn what_matched_counts_where_a_list_holds_all_there_is() {
        let dense = list(&[(1, 0.8), (2, 0.2), (3, -0.2)]);
        let keyword = list(&[(1, 8.0), (2, 2.0)]);
        let scores = |most| -> Vec<f32> {
            let fused = fuse(
                Fusion::Convex,
                (&dense, &keyword),
                most,
                Weights::Shared(0.5),
            );
            fused.iter().map(|it| it.score).collect()
        };
        let near = |found: &[f32], expected: &[f32]| {
            let pairs = found.iter().zip(expected);
            found.len() == expected.len() && pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-6)
        };
        assert!(near(&scores(10), &[1.0, 0.325, 0.0]), "{:?}", scores(10));
        // Both lists are cut where they end.
        assert!(near(&scores(2), &[1.0, 0.2, 0.0]), "{:?}", scores(2));
    }

    #[test]
    fn where_words_are_weighed_twice_they_count_once() {
        let dense = list(&[(4, 0.9), (2, 0.8), (1, 0.5), (5, 0.3)]);
        let keyword = list(&[(1, 20.0), (2, 15.0), (3, 10.0)]);
        for fusion in [Fusion::Convex, Fusion::Rrf] {
            let fused = fuse(fusion, (&dense, &keyword), 100, Weights::Rest(0.1));
            assert_eq!(ids(&fused), [1, 2, 3, 4, 5], "{fusion:?}");
            assert_eq!((fused[1].dense, fused[1].keyword), (Some(0.8), Some(15.0)));
        }
        // What the words find equal, the vectors tell apart.
        let equal = list(&[(1, 20.0), (2, 20.0), (3, 20.0)]);
        let fused = fuse(Fusion::Convex, (&dense, &equal), 100, Weights::Rest(0.1));
        assert_eq!(ids(&fused), [2, 1, 3, 4, 5]);
        let fused = fuse(Fusion::Convex, (&dense, &keyword), 100, Weights::Rest(0.1));
        assert!((fused[0].score - 1.0).abs() < 1e-6 && (fused[3].score - 0.1).abs() < 1e-6);
    }

    #[test]
    fn ranks_decide_whatever_the_scores_are() {
        let dense = list(&[(1, 1e9), (2, 0.1)]);
        let keyword = list(&[(2, 3.0), (4, 2.0)]);
        let fused = fuse(Fusion::Rrf, (&dense, &keyword), 2, Weights::Shared(0.5));
        assert_eq!(ids(&fused), [2, 1, 4]);
        let expected = 0.5 / 62.0 + 0.5 / 61.0;
        assert!((fused[0].score - expected).abs() < 1e-6);
    }

    #[test]
    fn scores_stay_between_0_and_1() {
        let of = |ids: std::ops::Range<u16>, score: fn(f32) -> f32| -> Vec<Scored> {
            let hit = |id: u16| Scored {
                id: u64::from(id),
                score: score(f32::from(id)),
            };
            ids.map(hit).collect()
        };
        let (dense, keyword) = (of(0..100, |it| -it), of(50..150, |it| 1000.0 / it));
        let fused = fuse(
            Fusion::Convex,
            (&dense, &keyword),
            100,
            Weights::Shared(0.35),
        );
        assert_eq!(fused.len(), 150);
        assert!(fused.iter().all(|it| (0.0..=1.0).contains(&it.score)));
    }
}
