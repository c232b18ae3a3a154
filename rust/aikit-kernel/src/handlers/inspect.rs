//! `inspect`: what stands at the cursor.

use crate::{
    handlers::{Desk, byte_offset},
    wire::{
        Content, Object,
        display::bundle,
        frame::refusal,
        inspect::{InspectReply, InspectRequest},
    },
};

pub(super) async fn reply(desk: &Desk, asked: &InspectRequest) -> Content {
    let cursor = byte_offset(&asked.code, asked.cursor_pos);
    match desk
        .engine
        .inspect(&asked.code, cursor, asked.detail_level)
        .await
    {
        Ok(found) => InspectReply {
            found: found.is_some(),
            data: found.as_ref().map(bundle).unwrap_or_default(),
            metadata: Object::new(),
        }
        .into(),
        Err(error) => refusal("inspect_request", &error),
    }
}
