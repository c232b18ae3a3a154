//! What the primitives do together, at the same time and many times.

#[cfg(test)]
mod forks;
#[cfg(test)]
mod leaks;
#[cfg(test)]
mod other_subscriber;
