//! Other systems: Python packages, each in a virtual environment of its own, and the program that
//! runs them.

pub(crate) mod ezkl;
pub(crate) mod onnxruntime;
mod venv;

use crate::failure::{Context, Failure};
use crate::record::{Fault, FaultKind};
use clap::ValueEnum;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The program.
const PROGRAM: &str = include_str!("../../peers/peer.py");

/// A system to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Peer {
    /// Halo2 circuits of ONNX models
    Ezkl,
    /// Plain inference, the yardstick
    Onnxruntime,
    /// No system
    None,
}

impl Peer {
    /// Its name in records.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ezkl => "ezkl",
            Self::Onnxruntime => "onnxruntime",
            Self::None => "none",
        }
    }

    /// The packages of its environment.
    fn requirements(self) -> &'static str {
        match self {
            Self::Ezkl => include_str!("../../peers/requirements-ezkl.txt"),
            Self::Onnxruntime => include_str!("../../peers/requirements-onnxruntime.txt"),
            Self::None => "",
        }
    }
}

/// Where the peers are and how to start them.
#[derive(Debug)]
pub(crate) struct Peers {
    program: PathBuf,
    /// The interpreter of each, or why there is none.
    interpreters: BTreeMap<Peer, Result<PathBuf, Fault>>,
}

impl Peers {
    /// Makes the environments that are missing. What cannot be made is a fault of each of the
    /// peer's runs and stops nothing else.
    pub(crate) fn new(peers: &[Peer], python: &Path, cache: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(cache).context(format!("cannot create {}", cache.display()))?;
        let cache = cache.canonicalize().context(cache.display())?;
        let program = cache.join("peer.py");
        fs::write(&program, PROGRAM).context(format!("cannot write {}", program.display()))?;
        let peers = peers.iter().filter(|peer| **peer != Peer::None);
        let interpreter = |&peer: &Peer| {
            let made = venv::interpreter(peer.name(), peer.requirements(), python, &cache);
            let made = made.map_err(|failure| {
                eprintln!("{}: {failure}", peer.name());
                Fault {
                    stage: "install".into(),
                    kind: FaultKind::Unavailable,
                    limit: None,
                    seconds: 0.0,
                    log: vec![failure.to_string()],
                }
            });
            (peer, made)
        };
        Ok(Self {
            program,
            interpreters: peers.map(interpreter).collect(),
        })
    }

    /// Whether a peer was asked for.
    pub(crate) fn has(&self, peer: Peer) -> bool {
        self.interpreters.contains_key(&peer)
    }

    /// A command that starts a peer with some threads.
    fn command(&self, peer: Peer, threads: usize) -> Result<Command, Fault> {
        let interpreter = self.interpreters[&peer].clone()?;
        let mut command = Command::new(interpreter);
        command
            .arg(&self.program)
            .arg(peer.name())
            .env("RAYON_NUM_THREADS", threads.to_string())
            .env("RUST_LOG", "info");
        if env::var_os("EZKL_REPO_PATH").is_none() {
            // EZKL keeps tables there; otherwise in the home directory.
            command.env("EZKL_REPO_PATH", self.program.with_file_name("ezkl"));
        }
        Ok(command)
    }
}
