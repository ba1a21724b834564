//! Cases in processes of their own, so that one that crashes or never ends harms no other.
//!
//! The process is this program again, told to run one case and to print its report as JSON.

use crate::args::Profile;
use crate::case::{Case, Constants, Depth, How};
use crate::suite::Entry;
use serde::Deserialize;
use std::ffi::OsString;
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Lines and characters of standard error that explain a crash.
const LINES: usize = 4;
const WIDTH: usize = 300;

/// How to start a process for a case.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    /// Arguments that come first.
    pub(crate) start: Vec<OsString>,
    pub(crate) threads: Option<NonZeroUsize>,
    pub(crate) timeout: Duration,
}

/// The report of a process.
#[derive(Deserialize)]
struct Answer {
    cases: [Case; 1],
}

impl Program {
    /// Runs a case.
    pub(crate) fn run(&self, entry: &Entry, profile: Profile, how: How) -> Case {
        let mut command = Command::new(&self.path);
        command.args(&self.start).arg(&entry.folder);
        command.args(["--in-process", "--json", "--profile", &profile.to_string()]);
        if how.depth == Depth::Prove {
            command.arg("--prove");
        }
        if how.constants == Constants::None {
            command.arg("--no-constants");
        }
        if let Some(threads) = self.threads {
            command.env("RAYON_NUM_THREADS", threads.to_string());
        }
        let case = self.watch(command).and_then(|(status, text, log)| {
            let answer: Result<Answer, _> = serde_json::from_str(&text);
            answer.map_err(|_| format!("{status}{}", tail(&log)))
        });
        match case {
            Ok(Answer { cases: [case] }) => Case {
                row: entry.row(&case.operators),
                name: entry.name.clone(),
                ..case
            },
            Err(reason) => Case::crashed(entry, profile, reason),
        }
    }

    /// Waits for a process: its status and what it printed.
    fn watch(&self, mut command: Command) -> Result<(ExitStatus, String, String), String> {
        let failed =
            |error: std::io::Error| format!("cannot start {}: {error}", self.path.display());
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let (sender, ended) = channel();
        let stdout = child.stdout.take().expect("it was piped above");
        let stderr = child.stderr.take().expect("it was piped above");
        let log = thread::spawn(move || text(stderr));
        let output = thread::spawn(move || {
            let text = text(stdout);
            // Nobody waits any more once the time is over.
            let _ = sender.send(());
            text
        });
        let in_time = ended.recv_timeout(self.timeout) != Err(RecvTimeoutError::Timeout);
        if !in_time {
            // It fails only for a process that has ended.
            let _ = child.kill();
        }
        let status = child.wait().map_err(failed)?;
        if !in_time {
            return Err(format!("no end after {} s", self.timeout.as_secs_f64()));
        }
        let joined = |text: thread::JoinHandle<String>| text.join().unwrap_or_default();
        Ok((status, joined(output), joined(log)))
    }
}

fn text(mut stream: impl Read) -> String {
    let mut bytes = Vec::new();
    // What was read before an error is kept.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The last lines, each after a separator.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    let last = last.iter().map(|line| {
        let line: String = line.chars().take(WIDTH).collect();
        format!(": {line}")
    });
    last.collect()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::case::Outcome;
    use crate::suite::Layout;
    use std::time::Instant;

    fn run(script: &str, timeout: Duration) -> Case {
        let program = Program {
            path: "sh".into(),
            start: ["-c", script].map(OsString::from).into(),
            threads: None,
            timeout,
        };
        let entry = Entry {
            name: "Add/test_add".into(),
            folder: "/nowhere".into(),
            layout: Layout::Arrays,
        };
        let how = How {
            depth: Depth::Run,
            constants: Constants::None,
        };
        program.run(&entry, Profile::Fast, how)
    }

    #[test]
    fn whatever_gives_no_answer_has_crashed() {
        let minute = Duration::from_secs(60);
        for (script, reason) in [
            ("echo thread panicked >&2; exit 101", "thread panicked"),
            ("kill -9 $$", "9"),
            ("echo '{\"cases\": []}'", "0"),
            ("echo no JSON", "0"),
        ] {
            let case = run(script, minute);
            assert_eq!(case.outcome, Outcome::Crashed, "{script}");
            assert!(case.reason.expect("one").contains(reason), "{script}");
            assert_eq!((&*case.name, &*case.row), ("Add/test_add", "Add"));
        }
    }

    #[test]
    fn a_process_is_stopped_after_its_time() {
        let start = Instant::now();
        let case = run("exec sleep 60", Duration::from_millis(50));
        assert_eq!(case.outcome, Outcome::Crashed);
        assert!(case.reason.expect("one").contains("0.05 s"));
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
