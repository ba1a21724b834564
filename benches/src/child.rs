//! Processes that measure: they are given commands and give answers, a line of JSON each, while
//! their time and memory are watched.

use crate::figure::Bytes;
use crate::machine;
use crate::record::{Fault, FaultKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a process is looked at.
const INTERVAL: Duration = Duration::from_millis(25);
/// Intervals until a process that closed its output is taken to be stuck.
const PATIENCE: usize = 40;
/// Lines of standard error that a [`Fault`] keeps, and characters of each.
const LOG_LINES: usize = 8;
const LOG_WIDTH: usize = 300;
/// A process is stopped when less than this fraction of the machine's memory is left.
const RESERVE: f64 = 0.04;

/// When to stop a process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// Time, and what it is called in a [`Fault`].
    pub(crate) deadline: Option<(Instant, Duration)>,
    /// Largest resident set.
    pub(crate) memory_bytes: Option<u64>,
}

/// A running process.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    commands: Option<ChildStdin>,
    answers: Receiver<String>,
    log: Arc<Mutex<VecDeque<String>>>,
    logging: JoinHandle<()>,
    limits: Limits,
    stage: String,
    start: Instant,
    peak_bytes: Option<u64>,
}

impl Worker {
    /// Starts a process for a stage.
    pub(crate) fn start(mut command: Command, stage: &str, limits: Limits) -> Result<Self, Fault> {
        let start = Instant::now();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| Fault {
            stage: stage.into(),
            kind: FaultKind::Unavailable,
            limit: None,
            seconds: 0.0,
            log: vec![format!("cannot start {:?}: {error}", command.get_program())],
        })?;
        let (sender, answers) = channel();
        let stdout = child.stdout.take().expect("it was piped above");
        std::thread::spawn(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            lines.map(|line| sender.send(line)).all(|sent| sent.is_ok())
        });
        let log = Arc::default();
        let stderr = child.stderr.take().expect("it was piped above");
        let tail = Arc::clone(&log);
        let logging = std::thread::spawn(move || keep_tail(stderr, &tail));
        Ok(Self {
            commands: child.stdin.take(),
            child,
            answers,
            log,
            logging,
            limits,
            stage: stage.into(),
            start,
            peak_bytes: None,
        })
    }

    /// Gives a command and waits for its answer.
    pub(crate) fn ask<T: DeserializeOwned>(
        &mut self,
        command: &impl Serialize,
    ) -> Result<T, Fault> {
        self.start = Instant::now();
        let mut line = serde_json::to_string(command).expect("commands are plain data");
        line.push('\n');
        if let Some(commands) = &mut self.commands {
            // A process that has gone is noticed when its answer is awaited.
            let _ = commands.write_all(line.as_bytes());
        }
        self.answer()
    }

    /// Waits for an answer.
    pub(crate) fn answer<T: DeserializeOwned>(&mut self) -> Result<T, Fault> {
        loop {
            match self.answers.recv_timeout(INTERVAL) {
                Ok(line) => {
                    return serde_json::from_str(&line).map_err(|error| {
                        let line: String = line.chars().take(LOG_WIDTH).collect();
                        self.fault(FaultKind::Error, None, Some(format!("{error}: {line}")))
                    });
                }
                Err(RecvTimeoutError::Timeout) => self.watch()?,
                Err(RecvTimeoutError::Disconnected) => return Err(self.gone()),
            }
        }
    }

    /// Its largest resident set when it was last looked at, where the system tells.
    pub(crate) fn peak_bytes(&self) -> Option<u64> {
        self.peak_bytes
    }

    /// Stops the process if it exceeds a limit.
    fn watch(&mut self) -> Result<(), Fault> {
        if let Some((deadline, limit)) = self.limits.deadline
            && Instant::now() >= deadline
        {
            let limit = format!("{} s", limit.as_secs_f64());
            return Err(self.stop(FaultKind::Timeout, limit));
        }
        let peak = machine::peak_bytes(Some(self.child.id()));
        self.peak_bytes = peak.or(self.peak_bytes);
        if let (Some(peak), Some(limit)) = (peak, self.limits.memory_bytes)
            && peak > limit
        {
            let limit = Bytes(limit as f64).to_string();
            return Err(self.stop(FaultKind::Memory, limit));
        }
        if let (Some(free), Some(all)) = (machine::available_bytes(), machine::memory_bytes())
            && (free as f64) < RESERVE * all as f64
        {
            let limit = "the machine's memory".into();
            return Err(self.stop(FaultKind::Memory, limit));
        }
        Ok(())
    }

    fn stop(&mut self, kind: FaultKind, limit: String) -> Fault {
        let fault = self.fault(kind, Some(limit), None);
        self.end();
        fault
    }

    /// Why a process ended before its answer.
    fn gone(&mut self) -> Fault {
        // It closed its output, so it ends, and its log with it; one that does not is stopped.
        let mut status = None;
        for _ in 0..PATIENCE {
            status = self.child.try_wait().ok().flatten();
            if status.is_some() && self.logging.is_finished() {
                break;
            }
            std::thread::sleep(INTERVAL);
        }
        let log = self.tail().join("\n");
        let starved = status.is_some_and(killed) || log.contains("memory allocation of");
        let (kind, limit) = if starved {
            (FaultKind::Memory, Some("the machine's memory".into()))
        } else {
            (FaultKind::Error, None)
        };
        let status = status.map(|status| status.to_string());
        self.fault(kind, limit, status)
    }

    /// A fault with a first line of its own before the end of the log.
    fn fault(&self, kind: FaultKind, limit: Option<String>, first: Option<String>) -> Fault {
        let log = first.into_iter().chain(self.tail()).collect();
        Fault {
            stage: self.stage.clone(),
            kind,
            limit,
            seconds: self.start.elapsed().as_secs_f64(),
            log,
        }
    }

    fn tail(&self) -> Vec<String> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().cloned().collect()
    }

    fn end(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether a process was killed from outside, as the system does when memory runs out.
fn killed(status: ExitStatus) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        status.signal() == Some(9)
    }
    #[cfg(not(unix))]
    {
        let _ = status;
        false
    }
}

fn keep_tail(stream: impl Read, tail: &Mutex<VecDeque<String>>) {
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        let line: String = line.trim().chars().take(LOG_WIDTH).collect();
        if line.is_empty() {
            continue;
        }
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == LOG_LINES {
            tail.pop_front();
        }
        tail.push_back(line);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn start(script: &str, limits: Limits) -> Worker {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Worker::start(command, "stage", limits).expect("a shell")
    }

    #[test]
    fn commands_are_answered() {
        let mut worker = start(
            "while read line; do echo \"[$line]\"; done",
            Limits::default(),
        );
        for n in 0..3 {
            assert_eq!(worker.ask::<Vec<u32>>(&n), Ok(vec![n]));
        }
        let fault = worker.ask::<String>(&7).expect_err("no string");
        assert_eq!(fault.kind, FaultKind::Error);
    }

    #[test]
    fn failures_keep_the_end_of_the_log() {
        let script = "for i in $(seq 20); do echo line $i >&2; done; exit 3";
        let fault = start(script, Limits::default()).answer::<u32>();
        let fault = fault.expect_err("no answer");
        assert_eq!(fault.kind, FaultKind::Error);
        assert_eq!(fault.log.len(), LOG_LINES + 1);
        assert!(fault.log[0].contains('3'), "{fault:?}");
        assert_eq!(fault.log[LOG_LINES], "line 20");
    }

    #[test]
    fn limits_are_kept_and_named() {
        let limit = Duration::from_millis(50);
        let limits = Limits {
            deadline: Some((Instant::now() + limit, limit)),
            memory_bytes: None,
        };
        let fault = start("exec sleep 60", limits).answer::<u32>();
        let fault = fault.expect_err("stopped");
        assert_eq!(fault.kind, FaultKind::Timeout);
        assert_eq!(fault.limit.as_deref(), Some("0.05 s"));
        if cfg!(target_os = "linux") {
            let limits = Limits {
                deadline: None,
                memory_bytes: Some(1 << 10),
            };
            let fault = start("exec sleep 60", limits).answer::<u32>();
            assert_eq!(fault.expect_err("stopped").kind, FaultKind::Memory);
        }
        let fault = start("kill -9 $$", Limits::default()).answer::<u32>();
        assert_eq!(fault.expect_err("killed").kind, FaultKind::Memory);
    }
}
