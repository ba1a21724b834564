//! A usage or input error: one line that says what is wrong and what would mend it.

use std::error::Error;
use std::fmt;
use zkstrata_conformance::described;

/// Ends the program with status 2.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// A failure that no other error caused.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// Appends what the user can do.
    #[must_use]
    pub(crate) fn remedy(self, remedy: impl fmt::Display) -> Self {
        Self(format!("{}; {remedy}", self.0))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Says what was being done when an error occurred.
pub(crate) trait Context<T> {
    /// Turns the error into `what: error: its cause`.
    fn context(self, what: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: Error> Context<T> for Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| Failure(format!("{what}: {}", described(&error))))
    }
}
