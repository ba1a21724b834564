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

    /// `what: error: its cause: ...`, leaving out causes that are already spelled out.
    pub(crate) fn because(what: impl fmt::Display, error: &dyn Error) -> Self {
        Self(format!("{what}: {}", described(error)))
    }

    /// Arguments that were not understood: what is wrong with them, without the usage.
    pub(crate) fn misuse(error: &clap::Error) -> Self {
        let text = error.to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        let end = ["\nUsage:", "\nFor more information"];
        let end = end.iter().filter_map(|end| text.find(end)).min();
        Self::new(&text[..end.unwrap_or(text.len())])
    }

    /// Appends what the user can do.
    #[must_use]
    pub(crate) fn remedy(self, remedy: impl fmt::Display) -> Self {
        Self(format!("{}; {remedy}", self.0))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One line, whatever the cause printed.
        let mut lines = self
            .0
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty());
        f.write_str(lines.next().unwrap_or("unknown"))?;
        lines.try_for_each(|line| write!(f, " {line}"))
    }
}

/// Says what was being done when an error occurred.
pub(crate) trait Context<T> {
    /// Turns the error into `what: error: its causes`.
    fn context(self, what: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: Error> Context<T> for Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::because(what, &error))
    }
}
