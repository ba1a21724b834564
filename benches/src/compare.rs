//! `compare`: measures every system on every model, and reports.

use crate::args;
use crate::arrays;
use crate::case::Case;
use crate::child::Limits;
use crate::failure::{Context, Failure};
use crate::journal::Journal;
use crate::peers::ezkl::{self, Reference};
use crate::peers::onnxruntime::Session;
use crate::peers::{Peer, Peers};
use crate::record::{
    Fault, FaultKind, Figures, Profile, Proofs, Record, SCHEMA, Seconds, System, Weights,
};
use crate::strata::{self, Outcome, Setting};
use crate::worker::Outputs;
use crate::{machine, report};
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Fraction of the machine's memory that a process may take unless told otherwise.
const MEMORY: f64 = 0.8;

/// A comparison at work.
struct Comparison<'a> {
    args: &'a args::Compare,
    threads: usize,
    peers: Peers,
    journal: Journal,
    strata: System,
    work: PathBuf,
    cache: PathBuf,
}

/// What a record is about, apart from its figures.
struct About {
    system: System,
    profile: Option<Profile>,
    weights: Option<Weights>,
    proofs: Option<Proofs>,
    batch: usize,
    threads: usize,
}

pub(crate) fn run(args: &args::Compare) -> Result<(), Failure> {
    let out = &args.out;
    fs::create_dir_all(out).context(format!("cannot create {}", out.display()))?;
    let out = out.canonicalize().context(out.display())?;
    let work = out.join("work");
    fs::create_dir_all(&work).context(format!("cannot create {}", work.display()))?;
    let journal = Journal::open(out.join("records.jsonl"))?;
    let samples = args.samples.max(args.proving.batch).get();
    // All of them first: a name that is wrong is found before hours of work.
    let load = |name: &String| Case::load(name, samples, &work);
    let cases: Vec<Case> = args.models.iter().map(load).collect::<Result<_, _>>()?;

    let cache = args.cache.clone().unwrap_or_else(|| out.join("cache"));
    let comparison = Comparison {
        args,
        threads: args
            .proving
            .threads
            .map_or_else(machine::cores, NonZeroUsize::get),
        peers: Peers::new(&args.peers, &args.python, &cache)?,
        journal,
        strata: machine::zkstrata(),
        work,
        cache: cache.canonicalize().context(cache.display())?,
    };
    for case in &cases {
        comparison.model(case)?;
    }
    fs::remove_dir_all(&comparison.work).context("removing the work directory")?;
    report::write(&[comparison.journal.path().to_owned()], &out)
}

impl Comparison<'_> {
    fn model(&self, case: &Case) -> Result<(), Failure> {
        let parameters = case.model.parameters.unwrap_or_default();
        eprintln!("{} ({parameters} parameters)", case.model.name);
        let directory = self.work.join(&case.model.digest[..16]);
        fs::create_dir_all(&directory).context(directory.display())?;
        let mut plain = self.inference(case, &directory)?;
        let mut float = None;
        for &profile in &self.args.profiles {
            for (weights, proofs) in self.args.proving.kinds() {
                let setting = Setting {
                    profile,
                    weights,
                    proofs,
                    threads: self.threads,
                    runs: self.args.proving.runs.get(),
                    batch: self.args.proving.batch.get(),
                };
                let outcome = self.strata(case, setting, &directory, plain.as_mut())?;
                float = outcome.float.or(float);
            }
        }
        if self.peers.has(Peer::Ezkl) {
            self.ezkl(case, &directory, plain.as_mut(), float.as_ref())?;
        }
        drop(plain);
        fs::remove_dir_all(&directory).context(directory.display())
    }

    /// Plain inference: its own records, and the session for the turns with the others.
    fn inference(&self, case: &Case, directory: &Path) -> Result<Option<Session>, Failure> {
        if !self.peers.has(Peer::Onnxruntime) {
            return Ok(None);
        }
        let batch = self.args.proving.batch.get();
        let samples = directory.join("inputs.npz");
        arrays::write_samples(&samples, &case.samples)?;
        // It lives as long as all others together.
        let limits = Limits {
            deadline: None,
            ..self.limits()
        };
        let size = (self.threads, batch);
        let session = Session::start(&self.peers, &case.path, &samples, size, limits);
        let about = |threads, version: Option<&String>| About {
            system: peer(Peer::Onnxruntime, version.cloned()),
            profile: None,
            weights: None,
            proofs: None,
            batch,
            threads,
        };
        let mut session = match session {
            Ok(session) => session,
            Err(fault) => {
                let about = about(self.threads, None);
                self.record(case, &about, 1, Figures::default(), Some(fault))?;
                return Ok(None);
            }
        };
        let version = session.version.clone();
        for run in 1..=self.args.proving.runs.get() {
            let (time, peak) = match session.turn() {
                Ok(turn) => turn,
                Err(fault) => {
                    let about = about(self.threads, Some(&version));
                    self.record(case, &about, run, Figures::default(), Some(fault))?;
                    return Ok(None);
                }
            };
            let mut times = vec![(1, time.one_thread_s)];
            if self.threads > 1 {
                times.push((self.threads, time.same_threads_s));
            }
            for (threads, seconds) in times {
                let figures = Figures {
                    seconds: Seconds {
                        inference: Some(seconds),
                        ..Seconds::default()
                    },
                    peak_bytes: peak
                        .map(|peak| ("inference".into(), peak))
                        .into_iter()
                        .collect(),
                    ..Figures::default()
                };
                self.record(case, &about(threads, Some(&version)), run, figures, None)?;
            }
        }
        Ok(Some(session))
    }

    fn strata(
        &self,
        case: &Case,
        setting: Setting,
        directory: &Path,
        plain: Option<&mut Session>,
    ) -> Result<Outcome, Failure> {
        let mut outcome = strata::run(case, setting, directory, self.limits(), plain);
        let about = About {
            system: self.strata.clone(),
            profile: Some(setting.profile),
            weights: Some(setting.weights),
            proofs: Some(setting.proofs).filter(|&proofs| proofs != Proofs::Fast),
            batch: setting.batch,
            threads: setting.threads,
        };
        let runs = std::mem::take(&mut outcome.runs);
        for (run, figures) in runs.into_iter().enumerate() {
            self.record(case, &about, run + 1, figures, outcome.fault.clone())?;
        }
        Ok(outcome)
    }

    fn ezkl(
        &self,
        case: &Case,
        directory: &Path,
        mut plain: Option<&mut Session>,
        float: Option<&(Outputs, Vec<usize>)>,
    ) -> Result<(), Failure> {
        let own = float.map(|(outputs, rows)| Reference {
            name: "float executor",
            outputs,
            rows,
        });
        for run in 1..=self.args.peer_runs.get() {
            let reference = plain.as_deref().map(|session| Reference {
                name: "onnxruntime",
                outputs: &session.outputs,
                rows: &session.rows,
            });
            let reference = reference.as_ref().or(own.as_ref());
            let (peers, limits) = (&self.peers, self.limits());
            let (version, mut figures, fault) =
                ezkl::run(peers, case, directory, self.threads, limits, reference);
            // The yardstick is about one inference here, as the proof is.
            if self.args.proving.batch.get() == 1 {
                let turn = plain.as_mut().and_then(|session| session.turn().ok());
                figures.yardstick = turn.map(|(yardstick, _)| yardstick);
            }
            let about = About {
                system: peer(Peer::Ezkl, version),
                profile: None,
                weights: None,
                proofs: None,
                batch: 1,
                threads: self.threads,
            };
            let failed = fault.is_some();
            self.record(case, &about, run, figures, fault)?;
            if failed {
                break;
            }
        }
        Ok(())
    }

    /// The limits of a pipeline that starts now.
    fn limits(&self) -> Limits {
        let given = self.args.peer_memory.map(|gib| gib * (1_u64 << 30) as f64);
        let default = || machine::memory_bytes().map(|bytes| MEMORY * bytes as f64);
        let time = Duration::from_secs_f64(self.args.peer_timeout);
        Limits {
            deadline: Some((Instant::now() + time, time)),
            memory_bytes: given.or_else(default).map(|bytes| bytes as u64),
        }
    }

    fn record(
        &self,
        case: &Case,
        about: &About,
        run: usize,
        figures: Figures,
        mut failure: Option<Fault>,
    ) -> Result<(), Failure> {
        // Where things lie on this machine is nobody's business.
        let model = case.path.parent().unwrap_or(&case.path);
        for line in failure.iter_mut().flat_map(|fault| &mut fault.log) {
            for (path, name) in [
                (&*self.work, "WORK"),
                (&self.cache, "CACHE"),
                (model, "MODEL"),
            ] {
                *line = line.replace(&path.display().to_string(), name);
            }
        }
        let record = Record {
            schema: SCHEMA,
            time: machine::now(),
            system: about.system.clone(),
            machine: machine::machine(),
            model: case.model.clone(),
            profile: about.profile,
            weights: about.weights,
            proofs: about.proofs,
            batch: about.batch,
            threads: about.threads,
            run,
            figures,
            failure,
        };
        say(&record);
        self.journal.append(&record)
    }
}

fn peer(peer: Peer, version: Option<String>) -> System {
    System {
        name: peer.name().into(),
        version,
        commit: None,
        build: None,
    }
}

/// Tells the user what was recorded.
fn say(record: &Record) {
    let words = |value: Option<&'static str>| value.map_or(String::new(), |v| format!(" {v}"));
    let profile = words(record.profile.map(Profile::name));
    let weights = words(record.weights.map(Weights::name));
    let seconds = &record.figures.seconds;
    let what = match (&record.failure, seconds.prove.or(seconds.inference)) {
        (Some(fault), _) => {
            let reason = match fault.kind {
                FaultKind::Timeout => "out of time",
                FaultKind::Memory => "out of memory",
                FaultKind::Error | FaultKind::Unavailable => "failed",
            };
            let limit = fault.limit.as_deref().unwrap_or_default();
            let last = fault.log.last().map_or("", String::as_str);
            format!("{}: {reason} {limit} {last}", fault.stage)
        }
        (None, Some(time)) => crate::figure::Seconds(time).to_string(),
        (None, None) => String::new(),
    };
    eprintln!(
        "  {}{profile}{weights}, {} threads, run {}: {what}",
        record.system.name, record.threads, record.run
    );
}
