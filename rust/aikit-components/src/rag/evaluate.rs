//! Evaluation: how well searches find what people judged to be relevant.
//!
//! Measures as `trec_eval` defines them. Source: Järvelin & Kekäläinen 2002 for nDCG, Voorhees
//! 1999 for the reciprocal rank.

use std::{collections::HashSet, time::Duration};

use aikit_core::{
    Error, Result, Value,
    tool::ToolContext,
    tracker::{Operation, track},
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{Hit, K_MAX, Rag, SearchOptions};

/// Most judged questions of one evaluation.
const QUESTIONS_MAX: usize = 100_000;

/// Chunks that are asked for where each document counts once: several may be of one document.
const CHUNKS_PER_DOCUMENT: usize = 4;

/// Where results are cut when nothing else is asked for.
pub const CUTOFFS_DEFAULT: &[usize] = &[1, 5, 10];

/// A question and what answers it.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The question.
    pub query: String,
    /// Identity of each document or chunk that answers it, and how well: above 0, mostly 1.
    pub relevant: IndexMap<String, f64>,
}

/// What an evaluation compares.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Documents, by their path or id; each counts once, at its best chunk.
    #[default]
    Document,
    /// Chunks, by their id.
    Chunk,
}

/// How to evaluate.
#[derive(Clone, Debug)]
pub struct EvaluateOptions {
    /// Where results are cut, each 1 to 1000.
    pub at: Vec<usize>,
    /// What the judgements name.
    pub level: Level,
    /// How to search; `k` follows from `at`.
    pub search: SearchOptions,
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        Self {
            at: CUTOFFS_DEFAULT.to_vec(),
            level: Level::default(),
            search: SearchOptions::default(),
        }
    }
}

impl EvaluateOptions {
    /// Reads the cutoffs, one or a list, and the level; what is null has its default.
    ///
    /// # Errors
    ///
    /// `invalid_args` for anything else.
    pub fn parse(at: Value, level: &Value) -> Result<Self> {
        let mut options = Self::default();
        let cutoffs = match at {
            Value::Null => Vec::new(),
            Value::List(cutoffs) => cutoffs,
            one => vec![one],
        };
        let cutoff = |value: Value| {
            let number = value.as_i64().and_then(|it| usize::try_from(it).ok());
            number.ok_or_else(|| wrong_cutoff(&value))
        };
        if !cutoffs.is_empty() {
            options.at = cutoffs.into_iter().map(cutoff).collect::<Result<_>>()?;
        }
        if !level.is_null() {
            options.level = level.clone().deserialize().map_err(|error: Error| {
                Error::invalid_args(format!("`level` is `{level}`"))
                    .with_hint("write `document` or `chunk`")
                    .with_source(error)
            })?;
        }
        Ok(options)
    }
}

fn wrong_cutoff(given: &dyn std::fmt::Display) -> Error {
    Error::invalid_args(format!("a cutoff is `{given}`"))
        .with_hint(format!("give numbers from 1 to {K_MAX}"))
}

/// How well an index answers judged questions.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Evaluation {
    /// Number of questions.
    pub queries: usize,
    /// The measures at each cutoff, smallest first.
    pub at: Vec<Measures>,
    /// How long the searches took.
    pub latency: Latency,
    /// Questions of whose answers none was found.
    pub missed: Vec<String>,
}

/// Means over all questions, each from 0 to 1.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Measures {
    /// The cutoff: only the first so many results count.
    pub k: usize,
    /// Part of what is relevant that was found.
    pub recall: f64,
    /// Part of `k` results that is relevant.
    pub precision: f64,
    /// One over the rank of the first relevant result; 0 without one.
    pub mrr: f64,
    /// Gains discounted by their ranks, over those of the best possible order.
    pub ndcg: f64,
}

/// Milliseconds of a search, embedding the question included.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Latency {
    /// Mean.
    pub mean_ms: f64,
    /// Half of the searches were quicker.
    pub p50_ms: f64,
    /// 95 of 100 were.
    pub p95_ms: f64,
}

impl Rag {
    /// Asks judged questions and measures what is found.
    ///
    /// # Errors
    ///
    /// `invalid_args` without questions, for one without a relevant document, for a grade that is
    /// not above 0 and for a cutoff outside 1 to 1000, and those of [`Rag::search`].
    pub async fn evaluate(
        &self,
        cx: &ToolContext,
        judged: Vec<Judged>,
        options: EvaluateOptions,
    ) -> Result<Evaluation> {
        let options = checked(&judged, options)?;
        let operation = Operation::new(format!("rag evaluate {}", self.source()));
        track(&cx.context, operation, |inner| async move {
            let cx = cx.with_context(inner);
            self.measure(&cx, judged, options).await
        })
        .await
    }

    async fn measure(
        &self,
        cx: &ToolContext,
        judged: Vec<Judged>,
        options: EvaluateOptions,
    ) -> Result<Evaluation> {
        let deepest = options.at.last().copied().unwrap_or(1);
        let k = match options.level {
            Level::Document => (deepest * CHUNKS_PER_DOCUMENT).min(K_MAX),
            Level::Chunk => deepest,
        };
        let clock = cx.context.clock();
        let mut found: Vec<(Vec<String>, Duration)> = Vec::with_capacity(judged.len());
        // One after the other, so that what a search takes is its own.
        for judged in &judged {
            let search = SearchOptions {
                k,
                ..options.search.clone()
            };
            let begun = clock.monotonic();
            // Boxed: the future of a search is large.
            let hits = Box::pin(self.search(cx, &judged.query, search)).await?;
            let taken = clock.monotonic().saturating_sub(begun);
            found.push((ranking(hits, options.level), taken));
        }
        let rankings: Vec<&[String]> = found.iter().map(|(ids, _)| ids.as_slice()).collect();
        let is_missed = |(ids, judged): &(&&[String], &Judged)| {
            let seen = &ids[..deepest.min(ids.len())];
            !seen.iter().any(|id| judged.relevant.contains_key(id))
        };
        let missed = rankings.iter().zip(&judged).filter(is_missed);
        Ok(Evaluation {
            queries: judged.len(),
            at: options
                .at
                .iter()
                .map(|k| Measures::mean(*k, &rankings, &judged))
                .collect(),
            latency: Latency::of(found.iter().map(|(_, taken)| *taken).collect()),
            missed: missed.map(|(_, judged)| judged.query.clone()).collect(),
        })
    }
}

/// What was found, best first and each once.
fn ranking(hits: Vec<Hit>, level: Level) -> Vec<String> {
    let ids = hits.into_iter().map(|hit| match level {
        Level::Document => hit.source,
        Level::Chunk => hit.id,
    });
    let mut seen = HashSet::new();
    ids.filter(|id| seen.insert(id.clone())).collect()
}

fn checked(judged: &[Judged], mut options: EvaluateOptions) -> Result<EvaluateOptions> {
    if judged.is_empty() || judged.len() > QUESTIONS_MAX {
        let message = format!("there are {} judged questions", judged.len());
        return Err(
            Error::invalid_args(message).with_hint(format!("give 1 to {QUESTIONS_MAX} of them"))
        );
    }
    for judged in judged {
        let query = &judged.query;
        if judged.relevant.is_empty() {
            return Err(
                Error::invalid_args(format!("`{query}` has no relevant document"))
                    .with_hint("name at least one, or leave the question out"),
            );
        }
        let grades = judged.relevant.iter();
        let is_wrong = |(_, grade): &(&String, &f64)| !(grade.is_finite() && **grade > 0.0);
        if let Some((id, grade)) = grades.into_iter().find(is_wrong) {
            let message = format!("the grade of `{id}` for `{query}` is `{grade}`");
            return Err(Error::invalid_args(message).with_hint("give a number above 0"));
        }
    }
    options.at.sort_unstable();
    options.at.dedup();
    if options.at.is_empty() {
        options.at = CUTOFFS_DEFAULT.to_vec();
    }
    if let Some(k) = options.at.iter().find(|k| !(1..=K_MAX).contains(*k)) {
        return Err(wrong_cutoff(k));
    }
    Ok(options)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of results stay far below 2^52"
)]
impl Measures {
    fn mean(k: usize, rankings: &[&[String]], judged: &[Judged]) -> Self {
        let mut sum = Self {
            k,
            recall: 0.0,
            precision: 0.0,
            mrr: 0.0,
            ndcg: 0.0,
        };
        for (ids, judged) in rankings.iter().zip(judged) {
            let one = Self::of(k, ids, judged);
            sum.recall += one.recall;
            sum.precision += one.precision;
            sum.mrr += one.mrr;
            sum.ndcg += one.ndcg;
        }
        let count = judged.len() as f64;
        for value in [
            &mut sum.recall,
            &mut sum.precision,
            &mut sum.mrr,
            &mut sum.ndcg,
        ] {
            *value /= count;
        }
        sum
    }

    fn of(k: usize, ids: &[String], judged: &Judged) -> Self {
        let grades = ids.iter().take(k);
        let grades: Vec<f64> = grades
            .map(|id| judged.relevant.get(id).copied().unwrap_or(0.0))
            .collect();
        let found = grades.iter().filter(|grade| **grade > 0.0).count() as f64;
        let first = grades.iter().position(|grade| *grade > 0.0);
        let mut best: Vec<f64> = judged.relevant.values().copied().collect();
        best.sort_by(|a, b| b.total_cmp(a));
        best.truncate(k);
        Self {
            k,
            recall: found / judged.relevant.len() as f64,
            precision: found / k as f64,
            mrr: first.map_or(0.0, |rank| 1.0 / (rank + 1) as f64),
            ndcg: discounted(&grades) / discounted(&best),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "ranks stay far below 2^52")]
fn discounted(grades: &[f64]) -> f64 {
    let gains = grades.iter().enumerate();
    gains
        .map(|(rank, grade)| grade / ((rank + 2) as f64).log2())
        .sum()
}

impl Latency {
    #[expect(clippy::cast_precision_loss, reason = "a mean needs no more digits")]
    fn of(mut taken: Vec<Duration>) -> Self {
        taken.sort_unstable();
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        // The nearest rank: with 20 searches the 95th percentile is the 19th.
        let at = |percent: usize| {
            let rank = (taken.len() * percent).div_ceil(100);
            taken.get(rank.saturating_sub(1)).map_or(0.0, |it| ms(*it))
        };
        let sum: Duration = taken.iter().sum();
        Self {
            mean_ms: ms(sum) / taken.len().max(1) as f64,
            p50_ms: at(50),
            p95_ms: at(95),
        }
    }
}

impl Judged {
    /// Reads judged questions: a list of `{query, relevant}`, where `relevant` is one id, a list of
    /// ids, or a mapping from ids to grades.
    ///
    /// # Errors
    ///
    /// `invalid_args` that names the question which is written otherwise.
    pub fn parse_all(value: Value) -> Result<Vec<Self>> {
        let Value::List(items) = value else {
            return Err(malformed(0, "the judged questions are no list"));
        };
        let items = items.into_iter().enumerate();
        items
            .map(|(index, item)| Self::parse(index + 1, item))
            .collect()
    }

    fn parse(number: usize, value: Value) -> Result<Self> {
        let Value::Map(mut map) = value else {
            return Err(malformed(number, "it is no record"));
        };
        let Some(Value::String(query)) = map.shift_remove("query") else {
            return Err(malformed(number, "its `query` is no text"));
        };
        let relevant = map.shift_remove("relevant").unwrap_or_default();
        if let Some(unknown) = map.keys().next() {
            return Err(malformed(number, &format!("it has no field `{unknown}`")));
        }
        let id = |value: Value| match value {
            Value::String(id) => Ok((id, 1.0)),
            _ => Err(malformed(number, "`relevant` holds what is no id")),
        };
        let relevant: Result<IndexMap<String, f64>> = match relevant {
            one @ Value::String(_) => id(one).map(|it| IndexMap::from([it])),
            Value::List(ids) => ids.into_iter().map(id).collect(),
            Value::Map(grades) => grades
                .into_iter()
                .map(|(id, grade)| match grade.as_f64() {
                    Some(grade) => Ok((id, grade)),
                    None => Err(malformed(
                        number,
                        &format!("the grade of `{id}` is no number"),
                    )),
                })
                .collect(),
            _ => Err(malformed(number, "it has no `relevant`")),
        };
        let relevant = relevant?;
        Ok(Self { query, relevant })
    }
}

fn malformed(number: usize, problem: &str) -> Error {
    let message = match number {
        0 => problem.to_owned(),
        number => format!("judged question {number} does not fit: {problem}"),
    };
    Error::invalid_args(message).with_hint(
        "write a list of records with `query` and `relevant`, which is an id, a list of ids, or a \
         table from ids to grades",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(relevant: &[(&str, f64)]) -> Judged {
        let relevant = relevant
            .iter()
            .map(|(id, grade)| ((*id).to_owned(), *grade));
        Judged {
            query: "q".to_owned(),
            relevant: relevant.collect(),
        }
    }

    #[test]
    fn measures_are_those_of_the_definition() {
        let ids: Vec<String> = ["x", "a", "y", "b"].map(str::to_owned).to_vec();
        let judged = judged(&[("a", 1.0), ("b", 2.0), ("c", 1.0)]);
        let at_two = Measures::of(2, &ids, &judged);
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(at_two.recall, 1.0 / 3.0);
        close(at_two.precision, 0.5);
        close(at_two.mrr, 0.5);
        let log = f64::log2;
        close(at_two.ndcg, (1.0 / log(3.0)) / (2.0 + 1.0 / log(3.0)));
        let at_four = Measures::of(4, &ids, &judged);
        let best = 2.0 + 1.0 / log(3.0) + 1.0 / log(4.0);
        close(at_four.ndcg, (1.0 / log(3.0) + 2.0 / log(5.0)) / best);
        close(at_four.precision, 0.5);
        // Fewer results than were asked for are as good as wrong ones.
        close(Measures::of(10, &ids, &judged).precision, 0.2);
        close(Measures::of(1, &[], &judged).ndcg, 0.0);
    }

    #[test]
    fn latencies_are_of_the_nearest_rank() {
        let of = |count: u64| Latency::of((1..=count).map(Duration::from_millis).collect());
        let all = of(100);
        assert_eq!((all.p50_ms, all.p95_ms, all.mean_ms), (50.0, 95.0, 50.5));
        assert_eq!((of(1).p50_ms, of(1).p95_ms), (1.0, 1.0));
        assert_eq!(Latency::of(Vec::new()), Latency::default());
    }

    #[test]
    fn judgements_have_three_forms() {
        let parse = |text: &str| {
            let json = serde_json::from_str(text).unwrap();
            Judged::parse_all(Value::from_json(json))
        };
        for relevant in ["\"a\"", "[\"a\"]", "{\"a\": 1}"] {
            let text = format!("[{{\"query\": \"q\", \"relevant\": {relevant}}}]");
            assert_eq!(parse(&text).unwrap(), [judged(&[("a", 1.0)])]);
        }
        for text in [
            "{}",
            "[3]",
            "[{\"query\": \"q\"}]",
            "[{\"relevant\": \"a\"}]",
            "[{\"query\": \"q\", \"relevant\": [1]}]",
            "[{\"query\": \"q\", \"relevant\": {\"a\": \"b\"}}]",
            "[{\"query\": \"q\", \"relevant\": \"a\", \"k\": 3}]",
        ] {
            assert!(parse(text).unwrap_err().hint().is_some(), "{text}");
        }
    }
}
