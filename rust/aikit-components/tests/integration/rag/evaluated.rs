//! An evaluation measures what searches find.

use aikit_components::rag::{
    EvaluateOptions, Evaluation, Judged, Level, RagOptions, Record, Source,
};
use aikit_core::{ErrorKind, Result, Value};

use super::{context_in, ingest, open};
use crate::support::wait;

const TEXTS: &[(&str, &str)] = &[
    ("apples", "apples grow on trees"),
    ("pears", "pears ripen slowly"),
    ("plums", "plums are blue"),
];

fn evaluate(judged: Value, options: EvaluateOptions) -> Result<Evaluation> {
    let folder = tempfile::tempdir().unwrap();
    let cx = context_in(folder.path());
    let rag = open(RagOptions::default()).unwrap();
    let records = TEXTS.iter().map(|(id, text)| {
        Source::Record(Record {
            id: (*id).to_owned(),
            text: (*text).to_owned(),
            ..Record::default()
        })
    });
    ingest(&rag, &cx, records.collect()).unwrap();
    let judged = Judged::parse_all(judged)?;
    wait(async move { rag.evaluate(&cx, judged, options).await })
}

fn judged(pairs: &[(&str, &str)]) -> Value {
    let one = |(query, relevant): &(&str, &str)| {
        Value::map([
            ("query", Value::from(*query)),
            ("relevant", Value::from(*relevant)),
        ])
    };
    pairs.iter().map(one).collect()
}

#[test]
fn what_is_found_first_counts_in_full_and_what_is_not_found_is_named() {
    let questions = judged(&[("apples on trees", "apples"), ("blue", "none")]);
    let evaluation = evaluate(questions, EvaluateOptions::default()).unwrap();
    assert_eq!(evaluation.queries, 2);
    assert_eq!(evaluation.missed, ["blue"]);
    let cutoffs: Vec<usize> = evaluation.at.iter().map(|it| it.k).collect();
    assert_eq!(cutoffs, [1, 5, 10]);
    for measures in &evaluation.at {
        for measure in [measures.recall, measures.mrr, measures.ndcg] {
            assert!((measure - 0.5).abs() < 1e-12, "{measures:?}");
        }
    }
    assert!((evaluation.at[1].precision - 0.1).abs() < 1e-12);
    assert!(evaluation.latency.p50_ms <= evaluation.latency.p95_ms);
}

#[test]
fn judgements_may_name_chunks() {
    let questions = || judged(&[("plums blue", "plums#0")]);
    let level = |level| EvaluateOptions {
        level,
        ..EvaluateOptions::default()
    };
    let by_chunk = evaluate(questions(), level(Level::Chunk)).unwrap();
    assert!((by_chunk.at[0].ndcg - 1.0).abs() < 1e-12);
    let by_document = evaluate(questions(), level(Level::Document)).unwrap();
    assert!(by_document.at[2].ndcg.abs() < 1e-12);
}

#[test]
fn what_cannot_be_measured_is_named() {
    let at = |at| EvaluateOptions {
        at,
        ..EvaluateOptions::default()
    };
    let question = || judged(&[("apples", "apples")]);
    let cases = [
        (Value::List(Vec::new()), at(vec![5])),
        (question(), at(vec![0])),
        (question(), at(vec![1_001])),
        (judged(&[("", "apples")]), at(vec![5])),
    ];
    for (judged, options) in cases {
        let error = evaluate(judged, options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgs);
        assert!(error.hint().is_some());
    }
    for (at, level) in [
        (Value::from("five"), Value::Null),
        (Value::from(-1_i64), Value::Null),
        (Value::Null, Value::from("page")),
    ] {
        let error = EvaluateOptions::parse(at, &level).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgs);
    }
}
