//! The integration tests.

#[cfg(test)]
mod config;
