//! Runs scripts: the language-neutral API table and the engines that bind it.

pub mod api;
pub mod engines;
pub mod lua;
