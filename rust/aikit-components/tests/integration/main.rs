//! Integration tests of the components, one module a subject.

#[cfg(test)]
mod agents;
#[cfg(test)]
mod models;
#[cfg(test)]
mod providers;
#[cfg(test)]
mod storage;
#[cfg(test)]
mod support;
#[cfg(test)]
mod vector;
