//! `comm_*`: no target is registered, so no comm is ever open, and each one offered is closed.

use crate::wire::{
    Object,
    comm::{CommClose, CommInfoReply, CommOpen},
};

pub(super) fn info() -> CommInfoReply {
    CommInfoReply {
        comms: Object::new(),
    }
}

pub(super) fn refuse(opened: &CommOpen) -> CommClose {
    CommClose {
        comm_id: opened.comm_id.clone(),
        data: Object::new(),
    }
}
