//! What a command found: text for people, JSON for programs, and the verdict.

use serde_json::{Map, Value};
use std::fmt::{self, Display, Write};
use std::io::Write as _;

/// The answer to the command's question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Exit status 0.
    Accepted,
    /// Exit status 1.
    Rejected,
    /// Exit status 3.
    Inaccurate,
}

/// The result of a command, printed at its end in one of two forms.
#[derive(Debug)]
pub(crate) struct Report {
    text: String,
    json: Map<String, Value>,
    verdict: Verdict,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            text: String::new(),
            json: Map::new(),
            verdict: Verdict::Accepted,
        }
    }

    /// A rejection and its reason.
    pub(crate) fn rejected(reason: impl Display) -> Self {
        let mut report = Self::new();
        report.reject(reason);
        report
    }

    /// Makes the verdict a rejection.
    pub(crate) fn reject(&mut self, reason: impl Display) {
        let reason = reason.to_string();
        self.line(format_args!("REJECTED: {reason}"));
        self.set("accepted", false);
        self.set("reason", reason);
        self.verdict = Verdict::Rejected;
    }

    /// Makes the verdict that the integer model is inaccurate, unless it is a rejection.
    pub(crate) fn refuse(&mut self, reason: impl Display) {
        let reason = reason.to_string();
        self.line(format_args!("INACCURATE: {reason}"));
        if self.verdict == Verdict::Accepted {
            self.set("accepted", false);
            self.set("reason", reason);
            self.verdict = Verdict::Inaccurate;
        }
    }

    /// Adds a line of text.
    pub(crate) fn line(&mut self, line: impl Display) {
        writeln!(self.text, "{line}").expect("writing to a string succeeds");
    }

    /// Adds an aligned line `name  value`.
    pub(crate) fn field(&mut self, name: &str, value: impl Display) {
        self.line(format_args!("{name:<14} {value}"));
    }

    /// Sets a JSON key.
    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.json.insert(key.into(), value.into());
    }

    /// Sets a JSON key that is not set yet.
    pub(crate) fn set_first(&mut self, key: &str, value: impl Into<Value>) {
        self.json.entry(key).or_insert(value.into());
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The text form.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The JSON form.
    pub(crate) fn json(self) -> String {
        format!("{:#}\n", Value::Object(self.json))
    }
}

/// Prints a line on standard error. Unlike `eprintln!`, does not panic if nobody can read it.
pub(crate) fn say(line: impl Display) {
    // Where else could this error go?
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Seconds with three significant digits.
pub(crate) struct Seconds(pub(crate) f64);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0 {
            s if s < 1e-3 => (s * 1e6, "us"),
            s if s < 1.0 => (s * 1e3, "ms"),
            s => (s, "s"),
        };
        let digits = match value {
            v if v < 9.995 => 2,
            v if v < 99.95 => 1,
            _ => 0,
        };
        write!(f, "{value:.digits$} {unit}")
    }
}

/// A number of bytes in binary units.
pub(crate) struct Bytes(pub(crate) u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kib = self.0 as f64 / 1024.0;
        match self.0 {
            n if n < 1 << 10 => write!(f, "{n} B"),
            n if n < 1 << 20 => write!(f, "{kib:.1} KiB"),
            n if n < 1 << 30 => write!(f, "{:.1} MiB", kib / 1024.0),
            _ => write!(f, "{:.2} GiB", kib / 1024.0 / 1024.0),
        }
    }
}

/// A count with its thousands apart.
pub(crate) struct Count(pub(crate) usize);

impl Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                f.write_char(' ')?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let seconds = [0.000_012_34, 0.001_234, 0.0999, 1.5, 123.4];
        let seconds: Vec<_> = seconds.map(|s| Seconds(s).to_string()).into();
        assert_eq!(
            seconds,
            ["12.3 us", "1.23 ms", "99.9 ms", "1.50 s", "123 s"]
        );
        let bytes = [1000, 2048, 3 << 20, 5 << 30].map(|n| Bytes(n).to_string());
        assert_eq!(bytes, ["1000 B", "2.0 KiB", "3.0 MiB", "5.00 GiB"]);
        let counts = [7, 1000, 1_234_567].map(|n| Count(n).to_string());
        assert_eq!(counts, ["7", "1 000", "1 234 567"]);
    }
}
