//! `whole`: one chunk for a whole document.

use std::ops::Range;

use super::Size;
use crate::rag::loaders::Loaded;

pub(super) fn split(loaded: &Loaded, _size: Size) -> Vec<Range<usize>> {
    std::iter::once(0..loaded.text.len()).collect()
}
