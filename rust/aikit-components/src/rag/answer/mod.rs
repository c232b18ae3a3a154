//! Answers: a model reads the chunks that fit a question, and every quote it gives is looked up.
//!
//! What a model says it read is not what it read. So a citation is not the model's words: it is
//! the place in a chunk where its quote stands, or it is not there.

mod prompt;
mod quote;

use std::{collections::BTreeMap, sync::Arc};

use aikit_core::{
    Error, ErrorKind, Result,
    model::{ChatModel, ChatRequest, Message, Role, Usage},
    tool::ToolContext,
    tracker::{Operation, track},
    value::Map,
};
use serde::{Deserialize, Serialize};

use self::{prompt::Reply, quote::Passage};
use super::{Hit, Rag, SearchOptions};
use crate::models;

/// Requests to the model for one question: the first, and one after an answer of which nothing
/// can be used.
const REQUESTS_MAX: usize = 2;

/// What an answer says when the documents do not.
const NOT_ANSWERED: &str = "The documents do not answer this question.";

/// How to answer.
#[derive(Clone, Debug, Default)]
pub struct AskOptions {
    /// Which chunks the model reads.
    pub search: SearchOptions,
    /// What the model is told beside how it answers, such as a language or a length.
    pub instructions: String,
    /// Longest answer in tokens; the provider's default when `None`.
    pub max_tokens: Option<u64>,
}

/// What the documents say to a question.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Answer {
    /// The answer, with `[1]` where it rests on the citation of that number; that the documents do
    /// not answer, where they do not.
    pub text: String,
    /// Whether the documents answer the question: the model says so, and at least one quote stands
    /// in them.
    pub answered: bool,
    /// Where the answer stands in the documents.
    pub citations: Vec<Citation>,
    /// Quotes of the model that stand in no chunk it was given.
    pub unverified: Vec<Unverified>,
    /// What the model said although no quote of it could be found; nothing vouches for it.
    pub draft: Option<String>,
    /// The chunks that the model was given, best first.
    pub hits: Vec<Hit>,
    /// What the requests to the model consumed.
    pub usage: Usage,
    /// The model that answered, in the provider's word; nothing when none was asked.
    pub model: Option<String>,
}

/// A place in the documents that an answer rests on.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Citation {
    /// The number in the text; one number may have several places.
    pub number: usize,
    /// Identity of the chunk.
    pub id: String,
    /// The words as they stand in the document.
    pub quote: String,
    /// Path or id of the document.
    pub source: String,
    /// Title of the document.
    pub title: Option<String>,
    /// Headings above the words, outermost first.
    pub headings: Vec<String>,
    /// First character of the quote in the document.
    pub start: usize,
    /// One past its last character.
    pub end: usize,
    /// What is known about the document, such as its page.
    pub metadata: Map,
}

/// A quote that stands in no chunk.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Unverified {
    /// The number that the model gave it.
    pub number: usize,
    /// The words that the model claims to have read.
    pub quote: String,
}

impl Rag {
    /// Answers a question from the documents: searches, lets `model` read the hits, and looks up
    /// every quote that it gives.
    ///
    /// The chunks are given to the model as data, between marks that no document can hold. Quotes
    /// are compared without regard to white space, line breaks, kinds of quotation marks and
    /// dashes; one that stands in no hit is no citation. When nothing of the answer can be used,
    /// the model is told so and asked once more. Without a hit no model is asked.
    ///
    /// # Errors
    ///
    /// Those of [`Rag::search`] and of the model, and `output_invalid` when it does not answer in
    /// the form that is asked for.
    pub async fn ask(
        &self,
        cx: &ToolContext,
        model: &Arc<dyn ChatModel>,
        question: &str,
        options: AskOptions,
    ) -> Result<Answer> {
        let operation = Operation::new(format!("rag ask {}", self.source()));
        track(&cx.context, operation, |inner| async move {
            let cx = cx.with_context(inner);
            let search = self.search(&cx, question, options.search.clone());
            // Boxed: the futures of a search and of a model's call are large.
            let hits = Box::pin(search).await?;
            Box::pin(answer(&cx, model, question, &options, hits)).await
        })
        .await
    }
}

async fn answer(
    cx: &ToolContext,
    model: &Arc<dyn ChatModel>,
    question: &str,
    options: &AskOptions,
    hits: Vec<Hit>,
) -> Result<Answer> {
    let mut usage = Usage::default();
    if hits.is_empty() {
        return Ok(Answer::none(hits, usage, None));
    }
    let passages: Vec<Passage> = hits.iter().map(|hit| Passage::new(&hit.text)).collect();
    let mut messages = prompt::messages(question, &options.instructions, &hits);
    for request in 1..=REQUESTS_MAX {
        let asked = ChatRequest {
            messages: messages.clone(),
            max_tokens: options.max_tokens,
            ..ChatRequest::default()
        };
        let response = models::complete(cx, model, asked).await?;
        usage += response.usage;
        let said = response.message.to_text();
        let is_last = request == REQUESTS_MAX;
        let complaint = match Reply::parse(&said) {
            Err(error) if is_last => return Err(no_reply(model.name(), &error, &said)),
            Err(error) => prompt::malformed(error.message()),
            Ok(reply) if !reply.answered => {
                return Ok(Answer::none(hits, usage, Some(response.model)));
            }
            Ok(reply) => {
                let checked = check(reply, &passages, &hits);
                if !checked.citations.is_empty() || is_last {
                    return Ok(checked.into_answer(hits, usage, response.model));
                }
                prompt::unfounded(&checked.unverified)
            }
        };
        messages.push(Message::text(Role::Assistant, said));
        messages.push(Message::text(Role::User, complaint));
    }
    Err(Error::internal("a question was never asked"))
}

fn no_reply(model: &str, error: &Error, said: &str) -> Error {
    let said: String = said.chars().take(SAID_CHARS_MAX).collect();
    let message = format!("`{model}` did not answer in the form that was asked for: `{said}`");
    Error::new(ErrorKind::OutputInvalid, message).with_hint(format!(
        "{}; take a model that follows instructions, or `search` without one",
        error.message()
    ))
}

/// How much of a useless answer an error shows.
const SAID_CHARS_MAX: usize = 200;

/// A reply whose quotes were looked up.
struct Checked {
    text: String,
    citations: Vec<Citation>,
    unverified: Vec<Unverified>,
}

/// Looks every quote up: in the chunk that the model names first, then in the others, since models
/// mistake numbers more often than words.
fn check(reply: Reply, passages: &[Passage], hits: &[Hit]) -> Checked {
    let mut citations: Vec<Citation> = Vec::new();
    let mut unverified = Vec::new();
    let mut moved: BTreeMap<usize, usize> = BTreeMap::new();
    for claim in reply.citations {
        let named = claim.passage.wrapping_sub(1);
        let others = (0..passages.len()).filter(|it| *it != named);
        let mut places = std::iter::once(named).chain(others);
        let found = places.find_map(|at| {
            let range = passages.get(at)?.find(&claim.quote)?;
            Some((at, range))
        });
        let Some((at, range)) = found else {
            unverified.push(Unverified {
                number: claim.passage,
                quote: claim.quote,
            });
            continue;
        };
        if at != named {
            moved.entry(claim.passage).or_insert(at + 1);
        }
        let citation = cite(&hits[at], at + 1, range);
        if !citations.contains(&citation) {
            citations.push(citation);
        }
    }
    citations.sort_by_key(|it| (it.number, it.start, it.end));
    let is_cited = |number: usize| citations.iter().any(|it| it.number == number);
    let text = prompt::renumber(&reply.answer, |number| {
        if is_cited(number) {
            return Some(number);
        }
        moved.get(&number).copied()
    });
    Checked {
        text,
        citations,
        unverified,
    }
}

fn cite(hit: &Hit, number: usize, range: std::ops::Range<usize>) -> Citation {
    let quote = hit.text.chars().skip(range.start).take(range.len());
    Citation {
        number,
        id: hit.id.clone(),
        quote: quote.collect(),
        source: hit.source.clone(),
        title: hit.title.clone(),
        headings: hit.headings.clone(),
        start: hit.start + range.start,
        end: hit.start + range.end,
        metadata: hit.metadata.clone(),
    }
}

impl Checked {
    fn into_answer(self, hits: Vec<Hit>, usage: Usage, model: String) -> Answer {
        let mut answer = Answer::none(hits, usage, Some(model));
        answer.unverified = self.unverified;
        if self.citations.is_empty() {
            answer.draft = Some(self.text);
            return answer;
        }
        answer.text = self.text;
        answer.answered = true;
        answer.citations = self.citations;
        answer
    }
}

impl Answer {
    fn none(hits: Vec<Hit>, usage: Usage, model: Option<String>) -> Self {
        Self {
            text: NOT_ANSWERED.to_owned(),
            answered: false,
            citations: Vec::new(),
            unverified: Vec::new(),
            draft: None,
            hits,
            usage,
            model,
        }
    }
}
