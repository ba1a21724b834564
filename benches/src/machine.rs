//! The machine, the build and the clock.

use crate::record::{Machine, System};
use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// The machine as it is now.
pub(crate) fn machine() -> Machine {
    Machine {
        cpu: cpu(),
        cores: cores(),
        memory_bytes: meminfo("MemTotal:"),
        os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        load: load(),
    }
}

/// This build of zkstrata.
pub(crate) fn zkstrata() -> System {
    System {
        name: "zkstrata".into(),
        version: Some(env!("CARGO_PKG_VERSION").into()),
        commit: commit(),
        build: Some(build()),
    }
}

/// Logical processors that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// Physical memory.
pub(crate) fn memory_bytes() -> Option<u64> {
    meminfo("MemTotal:")
}

/// Memory that can be had without swapping.
pub(crate) fn available_bytes() -> Option<u64> {
    meminfo("MemAvailable:")
}

/// The largest resident set of a process, where the system tells; without an identifier, of this
/// one.
pub(crate) fn peak_bytes(process: Option<u32>) -> Option<u64> {
    let process = process.map_or("self".into(), |id| id.to_string());
    field(&format!("/proc/{process}/status"), "VmHWM:")
}

fn meminfo(name: &str) -> Option<u64> {
    field("/proc/meminfo", name)
}

/// A field in kilobytes of a file in /proc.
fn field(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let name = name.and_then(|line| line.split_once(':'));
    name.map_or("unknown".into(), |(_, name)| name.trim().to_owned())
}

fn load() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}

/// The commit of the source tree, where it is a Git checkout.
fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let tree = ["-C", env!("CARGO_MANIFEST_DIR")];
        let output = Command::new("git").args(tree).args(arguments).output();
        let output = output.ok().filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok()
    };
    let commit = git(&["rev-parse", "--short=10", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    let dirty = if changed.is_empty() { "" } else { "-dirty" };
    Some(format!("{}{dirty}", commit.trim()))
}

/// The compiler, and what it was told to use.
fn build() -> String {
    let features = [
        ("avx512f", cfg!(target_feature = "avx512f")),
        ("avx2", cfg!(target_feature = "avx2")),
        ("neon", cfg!(target_feature = "neon")),
    ];
    let found = features.iter().find(|(_, there)| *there);
    let found = found.map_or("portable", |(name, _)| name);
    // In the source tree, because that chooses the toolchain.
    let mut rustc = Command::new("rustc");
    rustc
        .arg("--version")
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let version = rustc.output().ok().filter(|output| output.status.success());
    let version = version.and_then(|output| String::from_utf8(output.stdout).ok());
    let version = version.map_or(String::new(), |text| {
        let words: Vec<&str> = text.split(' ').take(2).collect();
        format!(", {}", words.join(" "))
    });
    format!("{} {found}{version}", std::env::consts::ARCH)
}

/// The time in UTC, as `2026-01-31T12:00:00Z`.
pub(crate) fn now() -> String {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    utc(elapsed.map_or(0, |elapsed| elapsed.as_secs()))
}

/// Seconds since 1970 as a date of the Gregorian calendar, whose 400 years have 146097 days; a
/// year begins in March here, so that its leap day is the last one.
fn utc(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month < 3);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_dates() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_767_225_600, "2026-01-01T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
        ] {
            assert_eq!(utc(seconds), date);
        }
    }

    #[test]
    fn a_process_has_a_peak() {
        if cfg!(target_os = "linux") {
            assert!(peak_bytes(None) > Some(1 << 20));
            assert_eq!(
                peak_bytes(None) > Some(0),
                memory_bytes() > peak_bytes(None)
            );
        }
    }
}
