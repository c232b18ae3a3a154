//! Conversations with a kernel whose language is a handful of words.

#[cfg(test)]
mod conversation;
#[cfg(test)]
mod echo;
#[cfg(test)]
mod execute;
#[cfg(test)]
mod iopub;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod robustness;
