//! The search: graphs on all threads, what was found by kind.

use super::generate;
use super::graph::{Attribute, Case};
use super::judge::{self, Depth, Fault, Kind, Verdict};
use super::panics;
use super::runtime::Runtime;
use super::save;
use super::shrink;
use crate::args::Profile;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What to search.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many graphs.
    pub graphs: u64,
    /// Where the random numbers start.
    pub seed: u64,
    /// The first graph; those before it are left out.
    pub first: u64,
    /// No graph is started after this time.
    pub limit: Option<Duration>,
    /// Threads; all of the machine without it.
    pub threads: Option<NonZeroUsize>,
    /// The profiles.
    pub profiles: &'static [Profile],
    /// A Python with onnxruntime, another reference.
    pub python: Option<PathBuf>,
    /// Where minimal graphs are written.
    pub folder: Option<PathBuf>,
}

/// A graph that is wrong, shrunk.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Which graph of the search it was.
    pub index: u64,
    /// What it is about: the kind of fault and the operators of the minimal graph.
    pub about: String,
    /// What is wrong, in words.
    pub detail: String,
    /// The minimal graph, in words.
    pub graph: String,
}

/// Graphs that were refused for one reason.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Refusals {
    /// How many.
    pub count: u64,
    /// One of them.
    pub graph: u64,
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Graphs that ran.
    pub graphs: u64,
    /// Graphs whose outputs were compared and right.
    pub right: u64,
    /// Of these, graphs some of whose outputs rounding may change by more than a tenth.
    pub loose: u64,
    /// Refused graphs, by reason without numbers and names.
    pub refused: BTreeMap<String, Refusals>,
    /// Graphs that setup says are inaccurate, and how they are.
    pub told: BTreeMap<u64, String>,
    /// Graphs that the reference does not run, which are none.
    pub invalid: u64,
    /// Graphs by operator.
    pub operators: BTreeMap<String, u64>,
    /// The wrong ones.
    pub findings: Vec<Finding>,
    /// Seconds that it took.
    pub seconds: f64,
    /// The graph that took longest, and its seconds.
    pub slowest: (u64, f64),
}

/// Searches.
pub fn search(settings: &Settings) -> Search {
    panics::silence_panics();
    let start = Instant::now();
    let next = AtomicU64::new(settings.first);
    let end = settings.first + settings.graphs;
    let found = Mutex::new(Search::default());
    let work = || {
        let python = settings.python.as_ref();
        let mut runtime = python.and_then(|path| Runtime::start(path).ok());
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let late = settings.limit.is_some_and(|limit| start.elapsed() > limit);
            if index >= end || late {
                break;
            }
            one(settings, index, runtime.as_mut(), &found);
        }
    };
    let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    thread::scope(|scope| {
        for _ in 0..settings.threads.unwrap_or(cores).get() {
            // A pool of one thread each: what runs in it does not wait for other graphs.
            scope.spawn(
                || match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
                    Ok(pool) => pool.install(work),
                    Err(_) => work(),
                },
            );
        }
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.findings.sort_by_key(|finding| finding.index);
    found.seconds = start.elapsed().as_secs_f64();
    found
}

fn one(settings: &Settings, index: u64, mut runtime: Option<&mut Runtime>, found: &Mutex<Search>) {
    let Some(case) = generate::graph(settings.seed, index) else {
        return;
    };
    let start = Instant::now();
    let verdict = judge::judge(
        &case,
        settings.profiles,
        if index.is_multiple_of(4) {
            Depth::Again
        } else {
            Depth::Once
        },
        runtime.as_deref_mut(),
    );
    let seconds = start.elapsed().as_secs_f64();
    let finding = match &verdict {
        Verdict::Wrong(fault) => Some(shrunk(settings, index, &case, fault, runtime)),
        _ => None,
    };
    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
    found.graphs += 1;
    if seconds > found.slowest.1 {
        found.slowest = (index, seconds);
    }
    match verdict {
        Verdict::Right { loose } => {
            found.right += 1;
            found.loose += u64::from(loose);
            let mut ops: Vec<&String> = case.nodes.iter().map(|n| &n.op).collect();
            ops.sort();
            ops.dedup();
            for op in ops {
                *found.operators.entry(op.clone()).or_default() += 1;
            }
        }
        Verdict::Refused(reason) => {
            let refusals = found.refused.entry(bare(&reason)).or_insert(Refusals {
                count: 0,
                graph: index,
            });
            refusals.count += 1;
            refusals.graph = refusals.graph.min(index);
        }
        Verdict::Invalid(_) => found.invalid += 1,
        Verdict::Told(fault) => {
            let profile = fault.profile.map_or(String::new(), |p| format!("{p}, "));
            let detail = format!("{profile}sample {}: {}", fault.sample, fault.detail);
            found.told.insert(index, detail);
        }
        Verdict::Wrong(_) => {}
    }
    found.findings.extend(finding);
}

fn shrunk(
    settings: &Settings,
    index: u64,
    case: &Case,
    fault: &Fault,
    mut runtime: Option<&mut Runtime>,
) -> Finding {
    if fault.kind != Kind::Reference {
        runtime = None;
    }
    let profiles: Vec<Profile> = match fault.profile {
        Some(profile) => vec![profile],
        None => settings.profiles.to_vec(),
    };
    let depth = if fault.kind == Kind::Order {
        Depth::Again
    } else {
        Depth::Once
    };
    let judge = |case: &Case| judge::judge(case, &profiles, depth, runtime.as_deref_mut());
    let (small, fault) = shrink::shrink(case.clone(), fault.clone(), judge);
    let mut ops: Vec<&str> = small.nodes.iter().map(|n| &*n.op).collect();
    ops.sort_unstable();
    ops.dedup();
    let profile = fault.profile.map_or(String::new(), |p| format!(" {p}"));
    let finding = Finding {
        index,
        about: format!("{:?}{profile}: {}", fault.kind, ops.join(" ")),
        detail: format!("sample {}: {}", fault.sample, fault.detail),
        graph: described(&small),
    };
    if let Some(folder) = &settings.folder {
        let name = format!("{:?}-{}-{index}", fault.kind, ops.join("-"));
        let text = format!(
            "{}\n\n{}\n\n```text\n{}```\n",
            finding.about, finding.detail, finding.graph
        );
        if let Err(error) = save::save(&folder.join(name), &small, &fault, &text) {
            eprintln!("cannot write a graph: {error}");
        }
    }
    finding
}

/// A reason without what differs from graph to graph.
fn bare(reason: &str) -> String {
    let mut text = String::new();
    let mut quoted = false;
    for c in reason.chars() {
        match c {
            '`' => {
                quoted = !quoted;
                if quoted {
                    text.push('_');
                }
            }
            _ if quoted => {}
            '0'..='9' | '-' | '.' if !text.ends_with(' ') || c != '.' => {
                if !text.ends_with('#') {
                    text.push('#');
                }
            }
            c => text.push(c),
        }
    }
    text
}

/// A graph in words: a line for each node, constant and input.
fn described(case: &Case) -> String {
    let mut text = String::new();
    let short = |t: &super::tensor::Tensor| {
        let cells: Vec<String> = t.cells.iter().take(24).map(|x| format!("{x}")).collect();
        format!("{:?}{:?} {}", t.kind, t.shape, cells.join(" "))
    };
    for (k, name) in case.inputs.iter().enumerate() {
        for (i, sample) in case.samples.iter().enumerate() {
            let _ = writeln!(text, "input {name}, sample {i}: {}", short(&sample[k]));
        }
    }
    for (name, tensor) in &case.constants {
        let _ = writeln!(text, "constant {name}: {}", short(tensor));
    }
    for node in &case.nodes {
        let attributes: Vec<String> = node
            .attributes
            .iter()
            .map(|(name, value)| match value {
                Attribute::Tensor(t) => format!("{name}={}", short(t)),
                value => format!("{name}={value:?}"),
            })
            .collect();
        let (outputs, inputs) = (node.outputs.join(", "), node.inputs.join(", "));
        let _ = writeln!(
            text,
            "{outputs} = {}({inputs}) {}",
            node.op,
            attributes.join(" ")
        );
    }
    let _ = writeln!(text, "outputs {}", case.outputs.join(", "));
    text
}

impl Search {
    /// Operators that are imported and have no recipe, with their domains.
    pub fn without_recipe() -> Vec<String> {
        let has = |op: &str| generate::RECIPES.iter().any(|recipe| recipe.op == op);
        let imported = zkstrata_onnx_import::operators().filter(|(_, op, _)| !has(op));
        imported
            .map(|(domain, op, _)| format!("{domain}.{op}"))
            .collect()
    }

    /// Refused graphs.
    pub fn refusals(&self) -> u64 {
        self.refused.values().map(|r| r.count).sum()
    }

    /// The keys of the JSON form.
    pub fn json(&self) -> Map<String, Value> {
        let json = serde_json::json!({
            "graphs": self.graphs,
            "right": self.right,
            "loose": self.loose,
            "refused": self.refused,
            "told": self.told,
            "operators": self.operators,
            "without_recipe": Self::without_recipe(),
            "wrong": self.findings,
            "seconds": self.seconds,
        });
        match json {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    /// What is wrong, in words; `None` if nothing is.
    pub fn fault(&self) -> Option<String> {
        let wrong = self.findings.len();
        (wrong > 0).then(|| format!("{wrong} wrong graphs"))
    }
}

/// The text form.
impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            graphs,
            right,
            loose,
            seconds,
            ..
        } = self;
        let (refused, wrong) = (self.refusals(), self.findings.len());
        writeln!(
            f,
            "{graphs} graphs in {seconds:.1} s: {right} right ({loose} of them loosely), {refused} \
             refused, {} that setup says are inaccurate, {wrong} wrong; the slowest, {}, took {:.2} s",
            self.told.len(),
            self.slowest.0,
            self.slowest.1
        )?;
        if !self.told.is_empty() {
            writeln!(f, "\ninaccurate, as setup says:")?;
        }
        for (index, detail) in &self.told {
            writeln!(f, "  graph {index}: {detail}")?;
        }
        writeln!(f, "\nright graphs by operator:")?;
        for (op, count) in &self.operators {
            writeln!(f, "  {op}: {count}")?;
        }
        writeln!(
            f,
            "\nwithout a recipe: {}",
            Self::without_recipe().join(" ")
        )?;
        writeln!(f, "\nrefused:")?;
        let mut reasons: Vec<_> = self.refused.iter().collect();
        reasons.sort_by_key(|(reason, of)| (std::cmp::Reverse(of.count), *reason));
        for (reason, Refusals { count, graph }) in reasons {
            writeln!(f, "  {count}, such as graph {graph}: {reason}")?;
        }
        let mut kinds: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
        for finding in &self.findings {
            kinds.entry(&finding.about).or_default().push(finding);
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(about, list)| (std::cmp::Reverse(list.len()), *about));
        for (about, list) in kinds {
            let first = list[0];
            let indices: Vec<String> = list.iter().map(|f| f.index.to_string()).collect();
            writeln!(
                f,
                "\nwrong, {} times: {about} (graphs {})",
                list.len(),
                indices.join(", ")
            )?;
            writeln!(f, "  {}", first.detail)?;
            for line in first.graph.lines() {
                writeln!(f, "    {line}")?;
            }
        }
        Ok(())
    }
}
