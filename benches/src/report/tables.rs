//! The report's tables.

use super::fault::reason;
use super::group::{Kind, Measured, Row, Section};
use super::table::{Cell, Look, Table, figure};
use crate::figure::{Bytes, Number, Seconds, count};
use crate::record::Profile;

/// The stages of zkstrata's prover, in order.
pub(crate) const STAGES: [&str; 6] = ["run", "witness", "commit", "lookup", "linear", "open"];
/// The stages of EZKL.
const PIPELINE: [&str; 8] = [
    "settings",
    "calibrate",
    "compile",
    "srs",
    "setup",
    "witness",
    "prove",
    "verify",
];

pub(super) fn seconds(value: Option<f64>) -> Cell {
    figure(value, |s| Seconds(s).to_string())
}

fn bytes(value: Option<f64>) -> Cell {
    figure(value, |n| Bytes(n).to_string())
}

/// A column: its name, its cell, the value by which the least row is the best, and what rows must
/// share to be compared.
struct Column {
    name: &'static str,
    cell: fn(&Row) -> Cell,
    rank: fn(&Row) -> Option<f64>,
    class: fn(&Row) -> usize,
}

const COLUMNS: [Column; 10] = [
    Column {
        name: "prove",
        cell: |row| seconds(row.prove),
        rank: |row| row.prove,
        class: |row| row.batch,
    },
    Column {
        name: "× plain inference",
        cell: |row| figure(row.ratio(), |x| Number(x).to_string()),
        rank: Row::ratio,
        class: |_| 0,
    },
    Column {
        name: "verify",
        cell: |row| seconds(row.verify),
        rank: |row| row.verify,
        class: |row| row.batch,
    },
    Column {
        name: "proof",
        cell: |row| bytes(row.proof),
        rank: |row| row.proof,
        class: |row| row.batch,
    },
    Column {
        name: "verifying key",
        cell: |row| bytes(row.vk),
        rank: |row| row.vk,
        class: |_| 0,
    },
    Column {
        name: "setup",
        cell: |row| seconds(row.setup),
        rank: |row| row.setup,
        class: |_| 0,
    },
    Column {
        name: "peak memory",
        cell: |row| bytes(row.peak()),
        rank: Row::peak,
        class: |row| row.batch,
    },
    Column {
        name: "committed / public weights",
        cell: |row| figure(row.overhead(), |x| format!("{x:.2}")),
        // It compares two rows itself.
        rank: |_| None,
        class: |_| 0,
    },
    Column {
        name: "max error (inputs)",
        cell: |row| figure(row.error, |x| format!("{x:.2e} ({})", row.samples)),
        rank: |row| row.error,
        class: |row| row.samples,
    },
    Column {
        name: "argmax agrees",
        cell: |row| figure(row.argmax, |x| format!("{:.1} %", 100.0 * x)),
        rank: |row| row.argmax.map(|x| -x),
        class: |row| row.samples,
    },
];

/// Rows of provers; plain inference is one only if it failed.
fn provers(measured: &Measured) -> impl Iterator<Item = &Row> {
    let rows = measured.rows.iter();
    rows.filter(|row| row.kind != Kind::Plain || row.failure.is_some())
}

/// The cells of rows that are compared with each other, the best of every column marked.
fn compared(rows: &[&Row], columns: &[Column]) -> Vec<Vec<Cell>> {
    let mut cells: Vec<Vec<Cell>> = rows
        .iter()
        .map(|row| columns.iter().map(|column| (column.cell)(row)).collect())
        .collect();
    for (k, column) in columns.iter().enumerate() {
        let rank = |row: &Row| (column.rank)(row).filter(|_| row.failure.is_none());
        for (row, cells) in rows.iter().zip(&mut cells) {
            let same = |other: &&&Row| (column.class)(other) == (column.class)(row);
            let ranks = rows.iter().filter(same).filter_map(|other| rank(other));
            let ranks: Vec<f64> = ranks.collect();
            let best = ranks.iter().copied().reduce(f64::min);
            let differ = ranks.iter().any(|&other| Some(other) != best);
            if differ && rank(row) == best {
                cells[k].look = Look::Best;
            }
        }
    }
    for (row, cells) in rows.iter().zip(&mut cells) {
        if let Some(fault) = &row.failure {
            let column = usize::from(row.prove.is_some()) * 2;
            cells[column] = Cell::failed(reason(fault));
        }
    }
    cells
}

/// One model: every system, every setting.
pub(crate) fn of_model(measured: &Measured) -> Table {
    let rows: Vec<&Row> = provers(measured).collect();
    let cells = compared(&rows, &COLUMNS);
    let names = COLUMNS.iter().map(|column| column.name);
    Table {
        header: ["system"]
            .into_iter()
            .chain(names)
            .chain(["runs"])
            .collect(),
        words: 1,
        rows: rows
            .iter()
            .zip(cells)
            .map(|(row, cells)| {
                let mut all = vec![Cell::new(label(row))];
                all.extend(cells);
                all.push(Cell::new(row.runs.to_string()));
                all
            })
            .collect(),
    }
}

/// All models, the settings that are compared first.
pub(crate) fn summary(section: &Section) -> Table {
    let columns = &COLUMNS[..8];
    let mut table = Table {
        header: vec!["model", "parameters", "system"],
        words: 3,
        rows: Vec::new(),
    };
    table
        .header
        .extend(columns.iter().map(|column| column.name));
    for measured in &section.models {
        let shown = |row: &&Row| !matches!(row.kind, Kind::Strata(Profile::Accurate, ..));
        let rows: Vec<&Row> = provers(measured).filter(shown).collect();
        for (i, (row, cells)) in rows.iter().zip(compared(&rows, columns)).enumerate() {
            let model = &measured.model;
            let parameters = model.parameters.map_or("–".into(), count);
            let first = [model.name.clone(), parameters];
            let first = first.map(|text| if i == 0 { text } else { String::new() });
            let mut all: Vec<Cell> = first.into_iter().map(Cell::new).collect();
            all.push(Cell::new(label(row)));
            all.extend(cells);
            table.rows.push(all);
        }
    }
    table
}

/// Where zkstrata's proving time goes.
pub(crate) fn stages(section: &Section) -> Option<Table> {
    let mut header = vec!["model", "setting"];
    header.extend(STAGES);
    header.push("prove");
    parts(
        section,
        header,
        &STAGES,
        |kind| matches!(kind, Kind::Strata(..)),
        |row| row.prove,
    )
}

/// Where the other provers' time goes, as timed around each call.
pub(crate) fn pipeline(section: &Section) -> Option<Table> {
    let mut header = vec!["model", "system"];
    header.extend(PIPELINE);
    header.push("sum");
    let sum = |row: &Row| Some(row.parts.values().sum()).filter(|_| !row.parts.is_empty());
    parts(
        section,
        header,
        &PIPELINE,
        |kind| matches!(kind, Kind::Peer(_)),
        sum,
    )
}

fn parts(
    section: &Section,
    header: Vec<&'static str>,
    names: &[&str],
    is_shown: fn(&Kind) -> bool,
    total: fn(&Row) -> Option<f64>,
) -> Option<Table> {
    let mut rows = Vec::new();
    for measured in &section.models {
        for row in measured.rows.iter().filter(|row| is_shown(&row.kind)) {
            let mut cells = vec![Cell::new(&*measured.model.name), Cell::new(label(row))];
            cells.extend(
                names
                    .iter()
                    .map(|name| seconds(row.parts.get(*name).copied())),
            );
            cells.push(seconds(total(row)));
            rows.push(cells);
        }
    }
    (!rows.is_empty()).then_some(Table {
        header,
        words: 2,
        rows,
    })
}

/// Keys, memory and what comes before the keys.
pub(crate) fn resources(section: &Section) -> Table {
    let mut rows = Vec::new();
    for measured in &section.models {
        for row in provers(measured).filter(|row| row.kind != Kind::Plain) {
            let mut cells = vec![Cell::new(&*measured.model.name), Cell::new(label(row))];
            cells.extend([row.prepare, row.srs, row.setup].map(seconds));
            cells.extend([row.pk, row.vk].map(bytes));
            cells.extend(row.peaks.map(bytes));
            rows.push(cells);
        }
    }
    Table {
        header: vec![
            "model",
            "system",
            "prepare",
            "reference string",
            "setup",
            "proving key",
            "verifying key",
            "memory: setup",
            "memory: prove",
            "memory: verify",
        ],
        words: 2,
        rows,
    }
}

/// A row's system, and whatever is unusual of its setting.
pub(crate) fn label(row: &Row) -> String {
    let mut name = row.kind.name();
    if row.batch != 1 {
        name = format!("{name}, batch {}", row.batch);
    }
    if row.other_threads {
        name = format!("{name}, {} threads", row.threads);
    }
    name
}
