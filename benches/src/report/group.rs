//! Records become rows: medians over the runs of one system, in one setting, on one model.

use crate::record::{Fault, Figures, Machine, Model, Profile, Proofs, Record, System, Weights};
use std::collections::BTreeMap;

/// Everything that was measured on one machine.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) machine: Machine,
    /// Smallest and largest load average before a run.
    pub(crate) load: Option<(f64, f64)>,
    /// First and last day.
    pub(crate) days: (String, String),
    /// The systems, by name and build.
    pub(crate) systems: Vec<System>,
    /// By number of parameters.
    pub(crate) models: Vec<Measured>,
}

/// All systems on one model.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) model: Model,
    pub(crate) rows: Vec<Row>,
}

/// Medians of one system in one setting.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) threads: usize,
    /// Whether other rows of the machine have other numbers of threads.
    pub(crate) other_threads: bool,
    pub(crate) batch: usize,
    /// Runs that succeeded.
    pub(crate) runs: usize,
    pub(crate) prepare: Option<f64>,
    pub(crate) srs: Option<f64>,
    pub(crate) setup: Option<f64>,
    pub(crate) prove: Option<f64>,
    pub(crate) verify: Option<f64>,
    pub(crate) inference: Option<f64>,
    /// Plain inference with one thread, and with the threads of the row.
    pub(crate) plain: Option<(f64, f64)>,
    /// Proving time with public weights, of a row with committed ones.
    pub(crate) public: Option<f64>,
    /// Of the run whose proving time is nearest to the median.
    pub(crate) parts: BTreeMap<String, f64>,
    pub(crate) proof: Option<f64>,
    pub(crate) pk: Option<f64>,
    pub(crate) vk: Option<f64>,
    /// Largest resident set of preparing and setup, of proving, of verifying.
    pub(crate) peaks: [Option<f64>; 3],
    pub(crate) error: Option<f64>,
    pub(crate) argmax: Option<f64>,
    /// Inputs on which errors were measured.
    pub(crate) samples: usize,
    /// Why no run succeeded.
    pub(crate) failure: Option<Fault>,
}

/// A system and its setting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// zkstrata.
    Strata(Profile, Weights, Proofs),
    /// Another prover.
    Peer(String),
    /// Plain inference.
    Plain,
}

impl Kind {
    fn of(record: &Record) -> Self {
        match (record.system.name.as_str(), record.profile, record.weights) {
            ("onnxruntime", _, _) => Self::Plain,
            (_, Some(profile), Some(weights)) => {
                Self::Strata(profile, weights, record.proofs.unwrap_or_default())
            }
            (name, _, _) => Self::Peer(name.to_owned()),
        }
    }

    /// What tables and legends call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Strata(profile, weights, proofs) => {
                let small = match proofs {
                    Proofs::Fast => "",
                    Proofs::Small => ", small proofs",
                };
                format!(
                    "zkstrata {}, {} weights{small}",
                    profile.name(),
                    weights.name()
                )
            }
            Self::Peer(name) if name == "ezkl" => "EZKL".into(),
            Self::Peer(name) => name.clone(),
            Self::Plain => "onnxruntime (no proof)".into(),
        }
    }
}

impl Row {
    /// Proving time over plain inference with one thread.
    pub(crate) fn ratio(&self) -> Option<f64> {
        Some(self.prove? / self.plain?.0)
    }

    /// Proving time over that with public weights.
    pub(crate) fn overhead(&self) -> Option<f64> {
        Some(self.prove? / self.public?)
    }

    /// The largest resident set of all.
    pub(crate) fn peak(&self) -> Option<f64> {
        self.peaks.iter().flatten().copied().reduce(f64::max)
    }
}

/// Groups records by machine and model.
pub(crate) fn sections(records: &[Record]) -> Vec<Section> {
    let mut machines: BTreeMap<_, Vec<&Record>> = BTreeMap::new();
    for record in records {
        let machine = &record.machine;
        let gib = machine.memory_bytes.unwrap_or_default() >> 30;
        let key = (&machine.cpu, machine.cores, gib, &machine.os);
        machines.entry(key).or_default().push(record);
    }
    machines.values().map(|records| section(records)).collect()
}

fn section(records: &[&Record]) -> Section {
    let mut models: BTreeMap<_, Vec<&Record>> = BTreeMap::new();
    for record in records {
        let model = &record.model;
        let key = (model.parameters, &model.name, &model.digest);
        models.entry(key).or_default().push(record);
    }
    let mut used = Vec::new();
    let models = models.values().map(|records| measured(records, &mut used));
    let mut models: Vec<Measured> = models.collect();
    let provers = || rows(&models).filter(|row| row.kind != Kind::Plain);
    let first = provers().next().map(|row| row.threads);
    let differ = provers().any(|row| Some(row.threads) != first);
    for row in models.iter_mut().flat_map(|measured| &mut measured.rows) {
        row.other_threads = differ;
    }
    let mut systems: Vec<System> = Vec::new();
    for record in &used {
        let known = systems.contains(&record.system);
        if !known && record.system.version.is_some() {
            systems.push(record.system.clone());
        }
    }
    systems.sort_by_key(|system| (system.name != "zkstrata", system.name.clone()));
    let loads = || used.iter().filter_map(|record| record.machine.load);
    let load = loads().reduce(f64::min).zip(loads().reduce(f64::max));
    let days = || used.iter().map(|record| day(&record.time));
    Section {
        machine: used
            .first()
            .map_or_else(Machine::default, |r| r.machine.clone()),
        load,
        days: (
            days().min().unwrap_or_default(),
            days().max().unwrap_or_default(),
        ),
        systems,
        models,
    }
}

fn rows(models: &[Measured]) -> impl Iterator<Item = &Row> {
    models.iter().flat_map(|measured| &measured.rows)
}

fn day(time: &str) -> String {
    time.split('T').next().unwrap_or_default().to_owned()
}

fn measured<'a>(records: &[&'a Record], used: &mut Vec<&'a Record>) -> Measured {
    let mut rows: BTreeMap<_, Vec<&Record>> = BTreeMap::new();
    for record in records {
        let key = (Kind::of(record), record.batch, record.threads);
        rows.entry(key).or_default().push(record);
    }
    let mut rows: Vec<Row> = rows
        .into_iter()
        .map(|(key, mut records)| {
            newest_build(&mut records);
            used.extend(&records);
            row(key, &records)
        })
        .collect();
    // A proof that did not take turns with plain inference is measured against that of the model.
    let plain = |threads| {
        let row = rows
            .iter()
            .find(|row| row.kind == Kind::Plain && row.batch == 1 && row.threads == threads);
        row.and_then(|row| row.inference)
    };
    let one = plain(1);
    let missing: Vec<Option<(f64, f64)>> = rows
        .iter()
        .map(|row| Some((one?, plain(row.threads).or(one)?)).filter(|_| row.batch == 1))
        .collect();
    for (row, missing) in rows.iter_mut().zip(missing) {
        row.plain = row.plain.or(missing);
    }
    let public: Vec<Option<f64>> = rows.iter().map(|row| with_public(row, &rows)).collect();
    for (row, public) in rows.iter_mut().zip(public) {
        row.public = public;
    }
    Measured {
        model: records[0].model.clone(),
        rows,
    }
}

/// Proving time of the row that differs from a row with committed weights in having public ones.
fn with_public(row: &Row, rows: &[Row]) -> Option<f64> {
    let Kind::Strata(profile, Weights::Committed, proofs) = row.kind else {
        return None;
    };
    let kind = Kind::Strata(profile, Weights::Public, proofs);
    let same = |other: &&Row| {
        other.kind == kind && (other.batch, other.threads) == (row.batch, row.threads)
    };
    rows.iter().find(same)?.prove
}

/// Keeps the records of the build that was measured last: a median over two versions means
/// nothing. Versions that could not be asked are those of failures.
fn newest_build(records: &mut Vec<&Record>) {
    records.sort_by(|a, b| a.time.cmp(&b.time));
    let newest = records
        .iter()
        .rev()
        .find(|record| record.system.version.is_some());
    if let Some(newest) = newest.copied() {
        records.retain(|record| record.system == newest.system);
    }
}

fn row((kind, batch, threads): (Kind, usize, usize), records: &[&Record]) -> Row {
    let done: Vec<&&Record> = records.iter().filter(|r| r.failure.is_none()).collect();
    // Without a success, what the last failure had measured.
    let failed = records.last().filter(|_| done.is_empty());
    let runs: Vec<&Figures> = match failed {
        Some(last) => vec![&last.figures],
        None => done.iter().map(|record| &record.figures).collect(),
    };
    let of = |get: &dyn Fn(&Figures) -> Option<f64>| {
        median(runs.iter().filter_map(|figures| get(figures)).collect())
    };
    let bytes = |value: Option<u64>| value.map(|n| n as f64);
    let peak = |stages: &[&str]| {
        of(&|figures| {
            let peaks = stages
                .iter()
                .filter_map(|stage| figures.peak_bytes.get(*stage));
            bytes(peaks.copied().max())
        })
    };
    // Parts that belong together: those of the run in the middle.
    let prove = of(&|figures| figures.seconds.prove);
    let distance = |figures: &Figures| match (figures.seconds.prove, prove) {
        (Some(time), Some(median)) => (time - median).abs(),
        _ => f64::INFINITY,
    };
    let middle = runs
        .iter()
        .min_by(|a, b| distance(a).total_cmp(&distance(b)));
    let parts = middle.map(|figures| figures.seconds.parts.clone());
    let one = of(&|figures| Some(figures.yardstick?.one_thread_s));
    let same = of(&|figures| Some(figures.yardstick?.same_threads_s));
    Row {
        kind,
        threads,
        other_threads: false,
        batch,
        runs: done.len(),
        prepare: of(&|figures| figures.seconds.prepare),
        srs: of(&|figures| figures.seconds.srs),
        setup: of(&|figures| figures.seconds.setup),
        prove,
        verify: of(&|figures| figures.seconds.verify),
        inference: of(&|figures| figures.seconds.inference),
        plain: one.zip(same),
        public: None,
        parts: parts.unwrap_or_default(),
        proof: of(&|figures| bytes(figures.bytes.proof)),
        pk: of(&|figures| bytes(figures.bytes.pk)),
        vk: of(&|figures| bytes(figures.bytes.vk)),
        peaks: [
            peak(&["settings", "calibrate", "compile", "setup"]),
            peak(&["witness", "prove"]),
            peak(&["verify"]),
        ],
        error: of(&|figures| Some(figures.accuracy.as_ref()?.max_abs_err)),
        argmax: of(&|figures| Some(figures.accuracy.as_ref()?.argmax)),
        samples: runs
            .iter()
            .filter_map(|figures| Some(figures.accuracy.as_ref()?.samples))
            .max()
            .unwrap_or(0),
        failure: failed.and_then(|record| record.failure.clone()),
    }
}

/// The middle of the sorted values, or the mean of the two.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(middle);
    }
    Some(f64::midpoint(values[values.len() / 2 - 1], middle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0]), Some(3.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0, 4.0]), Some(3.0));
    }
}
