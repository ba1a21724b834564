//! Numbers as people read them: three significant digits and a unit.

use std::fmt::{self, Display};

/// A time in seconds.
pub(crate) struct Seconds(pub(crate) f64);

/// A number of bytes.
pub(crate) struct Bytes(pub(crate) f64);

/// A number without a unit, its thousands apart.
pub(crate) struct Number(pub(crate) f64);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0 {
            s if s < 0.999_5e-3 => (s * 1e6, "µs"),
            s if s < 0.999_5 => (s * 1e3, "ms"),
            s => (s, "s"),
        };
        write!(f, "{} {unit}", Number(value))
    }
}

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut value, mut unit) = (self.0, "B");
        for larger in ["KiB", "MiB", "GiB"] {
            if value >= 1000.0 {
                (value, unit) = (value / 1024.0, larger);
            }
        }
        write!(f, "{} {unit}", Number(value))
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if value.abs() < 99.95 {
            let whole = value.fract() == 0.0;
            let digits = match value.abs() {
                _ if whole => 0,
                v if v < 9.995 => 2,
                _ => 1,
            };
            return write!(f, "{value:.digits$}");
        }
        // Three digits, and zeros.
        let unit = 10_f64.powi(value.abs().log10().floor() as i32 - 2);
        let digits = format!("{:.0}", (value / unit).round() * unit);
        f.write_str(&apart(&digits))
    }
}

/// A count with all its digits, in groups of three.
pub(crate) fn count(value: u64) -> String {
    apart(&value.to_string())
}

fn apart(digits: &str) -> String {
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        let seconds = [0.000_004_63, 0.000_999_6, 0.0123, 0.999_6, 23.45, 4567.0];
        assert_eq!(
            seconds.map(|s| Seconds(s).to_string()),
            [
                "4.63 µs",
                "1.00 ms",
                "12.3 ms",
                "1.00 s",
                "23.4 s",
                "4\u{202f}570 s"
            ]
        );
        let bytes = [100.0, 2000.0, 3e6, 1e9, 5e12];
        assert_eq!(
            bytes.map(|n| Bytes(n).to_string()),
            [
                "100 B",
                "1.95 KiB",
                "2.86 MiB",
                "954 MiB",
                "4\u{202f}660 GiB"
            ]
        );
        assert_eq!(Number(590_123.0).to_string(), "590\u{202f}000");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
    }
}
