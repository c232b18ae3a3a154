//! Language models: finding one by name, and the one place where a model is called.

mod answer;
mod call;
mod catalogue;
mod describe;
mod function;
mod providers;
mod rig;
mod scripted;

pub use self::{
    call::{complete, embed, stream},
    catalogue::Catalogue,
    describe::{describe, describe_event},
    function::FunctionModel,
};
