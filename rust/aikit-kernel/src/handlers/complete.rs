//! `complete`: what could stand at the cursor.

use crate::{
    handlers::{Desk, byte_offset},
    wire::{
        Content,
        complete::{CompleteMetadata, CompleteReply, CompleteRequest, TypedMatch},
        frame::refusal,
    },
};

pub(super) async fn reply(desk: &Desk, asked: &CompleteRequest) -> Content {
    let cursor = byte_offset(&asked.code, asked.cursor_pos);
    let completion = match desk.engine.complete(&asked.code, cursor).await {
        Ok(completion) => completion,
        Err(error) => return refusal("complete_request", &error),
    };
    let code_points = |bytes: usize| asked.code.get(..bytes).map_or(0, |it| it.chars().count());
    let (start, end) = (code_points(completion.start), code_points(completion.end));
    let with_kind = |it: &aikit_core::engine::CompletionMatch| TypedMatch {
        start,
        end,
        text: it.text.clone(),
        kind: it.kind.to_owned(),
    };
    let types = completion.matches.iter().map(with_kind).collect();
    CompleteReply {
        matches: completion.matches.into_iter().map(|it| it.text).collect(),
        cursor_start: start,
        cursor_end: end,
        metadata: CompleteMetadata {
            types,
            ..CompleteMetadata::default()
        },
    }
    .into()
}
