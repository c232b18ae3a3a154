//! How often the lexical embedder finds the answer in Python's manual: 497 real files and
//! questions whose answers are known.

use std::path::{Path, PathBuf};

use aikit_components::rag::RagOptions;
use serde::Deserialize;

use super::{context_in, ingest, open, path, search};

#[derive(Debug, Deserialize)]
struct Question {
    question: String,
    answers: Vec<Answer>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    phrase: String,
}

/// Python's manual as Debian installs it.
fn manual() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/share/doc")
        .ok()?
        .filter_map(Result::ok);
    let versions =
        versions.filter(|entry| entry.file_name().to_string_lossy().starts_with("python3"));
    let folders = versions.map(|entry| entry.path().join("html/_sources"));
    folders
        .filter(|folder| folder.join("tutorial").is_dir())
        .max()
}

/// Without markup and line breaks, which differ between a file and a phrase of it.
fn plain(text: &str) -> String {
    let mut without = String::new();
    for (place, part) in text.split('`').enumerate() {
        let role = part.rfind(|it: char| !(it.is_alphanumeric() || ":+._-".contains(it)));
        let tail = &part[role.map_or(0, |before| before + 1)..];
        let is_role =
            place % 2 == 0 && tail.len() > 2 && tail.starts_with(':') && tail.ends_with(':');
        without.push_str(if is_role {
            &part[..part.len() - tail.len()]
        } else {
            part
        });
    }
    let without = without.replace('*', "");
    without.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn most_questions_find_their_answer_in_the_first_five_passages() {
    let Some(manual) = manual() else {
        assert!(
            std::env::var_os("AIKIT_REQUIRE_MANUAL").is_none(),
            "Python's manual is absent: install the package python3-doc"
        );
        println!("skipped: Python's manual is not installed");
        return;
    };
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data");
    let questions = std::fs::read(data.join("python_docs_questions.json")).unwrap();
    let questions: Vec<Question> = serde_json::from_slice(&questions).unwrap();
    assert!(questions.len() >= 30);
    let cx = context_in(&manual);
    let rag = open(RagOptions::default()).unwrap();
    let report = ingest(&rag, &cx, vec![path(".")]).unwrap();
    assert_eq!((report.failed.len(), report.added >= 450), (0, true));
    let is_answered = |question: &&Question| {
        let hits = search(&rag, &cx, &question.question, 5).unwrap();
        let answers: Vec<String> = question
            .answers
            .iter()
            .map(|it| plain(&it.phrase))
            .collect();
        hits.iter().any(|hit| {
            let text = plain(&hit.text);
            answers.iter().any(|answer| text.contains(answer))
        })
    };
    let missed: Vec<&Question> = questions.iter().filter(|it| !is_answered(it)).collect();
    let found = questions.len() - missed.len();
    println!(
        "{found} of {} answered, {} chunks; missed: {missed:#?}",
        questions.len(),
        report.chunks
    );
    assert!(found * 100 >= questions.len() * 70);
}
