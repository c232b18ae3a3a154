//! Language models: finding one by name, and the one place where a model is called.

mod answer;
mod call;
pub mod cassette;
mod catalogue;
mod check;
mod describe;
mod function;
mod hooked;
mod providers;
mod replayed;
mod retry;
mod rig;
mod scripted;

pub(crate) use self::{answer::messages_value, hooked::messages_of};
pub use self::{
    call::{complete, embed, stream},
    catalogue::Catalogue,
    describe::{describe, describe_event},
    function::FunctionModel,
};
