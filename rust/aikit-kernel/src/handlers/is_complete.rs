//! `is_complete`: whether Enter should run the code.

use aikit_core::engine::Completeness;

use crate::{
    handlers::Desk,
    wire::is_complete::{IsCompleteReply, IsCompleteRequest},
};

pub(super) fn reply(desk: &Desk, asked: &IsCompleteRequest) -> IsCompleteReply {
    match desk.engine.is_complete(&asked.code) {
        Completeness::Complete => IsCompleteReply::Complete,
        Completeness::Incomplete { indent } => IsCompleteReply::Incomplete { indent },
        Completeness::Invalid => IsCompleteReply::Invalid,
    }
}
