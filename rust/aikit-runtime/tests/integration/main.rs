//! Tests of the script runtime: one module a subject.

#[cfg(test)]
mod assistance;
#[cfg(test)]
mod cells;
#[cfg(test)]
mod described;
#[cfg(test)]
mod displayed;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod host_metadata;
#[cfg(test)]
mod interrupts;
#[cfg(test)]
mod lua_files;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod pipe;
#[cfg(test)]
mod shells;
#[cfg(test)]
mod shown;
#[cfg(test)]
mod support;
#[cfg(test)]
mod table;
#[cfg(test)]
mod time_limits;
