//! The report in Markdown, and the block of a README.

use super::group::{Kind, Measured, Section};
use super::{fault, tables};
use crate::failure::Failure;
use crate::figure::{Bytes, Number, Seconds, count};
use std::fmt::Write;

/// What the tables' figures are.
pub(crate) const METHOD: &str = "Every figure is the median over the runs of one system in one \
    setting. Proving is from the input to the proof, the run of the quantised model (of EZKL: its \
    witness) included. Proving and verifying leave out reading keys and reference strings from \
    files, of EZKL by its own timer, whose resolution is a millisecond. Setup is making the keys; \
    importing, quantising, calibrating, compiling, and EZKL's reference string are apart. Memory \
    is the largest resident set of the process of a stage. Plain inference is onnxruntime with one \
    thread, on the same file and input, in turns with the proofs. Errors are against the float \
    outputs, on as many inputs as stand in parentheses. The best of every column is bold, whosever it is; zkstrata's proofs hide nothing, \
    EZKL's hide the input.";

/// Machine, systems and days in one sentence each.
pub(crate) fn facts(section: &Section) -> String {
    let machine = &section.machine;
    let memory = machine.memory_bytes.map_or(String::new(), |bytes| {
        format!(", {} of memory", Bytes(bytes as f64))
    });
    let systems = section.systems.iter().map(|system| {
        let more = [system.commit.as_ref(), system.build.as_ref()];
        let more: Vec<&str> = more.into_iter().flatten().map(String::as_str).collect();
        let more = match more.join(", ") {
            more if more.is_empty() => more,
            more => format!(" ({more})"),
        };
        let version = system.version.as_deref().unwrap_or_default();
        format!("{} {version}{more}", system.name)
    });
    let systems: Vec<String> = systems.collect();
    let rows = section.models.iter().flat_map(|measured| &measured.rows);
    let mut threads: Vec<usize> = rows
        .filter(|row| row.kind != Kind::Plain)
        .map(|row| row.threads)
        .collect();
    threads.sort_unstable();
    threads.dedup();
    let threads: Vec<String> = threads.iter().map(ToString::to_string).collect();
    let load = section.load.map_or(String::new(), |(low, high)| {
        format!(
            " Load average before the runs: {} to {}.",
            Number(low),
            Number(high)
        )
    });
    let (first, last) = &section.days;
    let days = if first == last {
        first.clone()
    } else {
        format!("{first} to {last}")
    };
    let threads = match threads.as_slice() {
        [] => String::new(),
        [one] if one == "1" => ", one thread".into(),
        _ => format!(", {} threads", threads.join(" and ")),
    };
    format!(
        "{}, {} cores{memory}, {}{threads}. {}. Measured {days}.{load}",
        machine.cpu,
        machine.cores,
        machine.os,
        systems.join("; ")
    )
}

/// What heads a model's table.
pub(crate) fn about(measured: &Measured) -> String {
    let model = &measured.model;
    let parameters = model.parameters.map_or("unknown".into(), count);
    let mut text = format!(
        "{parameters} parameters, input {:?} ({}), BLAKE3 {}",
        model.inputs,
        model.data,
        model.digest.get(..16).unwrap_or(&model.digest)
    );
    let plain = measured.rows.iter().filter(|row| row.kind == Kind::Plain);
    for row in plain {
        if let Some(time) = row.inference {
            let threads = if row.threads == 1 {
                "thread"
            } else {
                "threads"
            };
            let batch = match row.batch {
                1 => String::new(),
                batch => format!(" for {batch} inferences"),
            };
            let _ = write!(
                text,
                "; plain inference {}{batch} with {} {threads}",
                Seconds(time),
                row.threads
            );
        }
    }
    text + "."
}

/// The whole report.
pub(crate) fn markdown(sections: &[Section]) -> String {
    let mut text = format!("# zkstrata, measured\n\n{METHOD}\n");
    for section in sections {
        let _ = write!(text, "\n## {}\n\n{}\n", section.machine.cpu, facts(section));
        let mut table = |title: &str, table: Option<super::table::Table>| {
            if let Some(table) = table {
                let _ = write!(text, "\n### {title}\n\n{}", table.markdown());
            }
        };
        table("Summary", Some(tables::summary(section)));
        table("Failures", fault::failures(section));
        table("Stages of zkstrata's prover", tables::stages(section));
        table("Stages of the other systems", tables::pipeline(section));
        table("Keys and memory", Some(tables::resources(section)));
        for measured in &section.models {
            let of_model = tables::of_model(measured).markdown();
            let name = &measured.model.name;
            let _ = write!(text, "\n### {name}\n\n{}\n\n{of_model}", about(measured));
        }
    }
    text
}

const BEGIN: &str = "<!-- measured:begin -->\n";
const END: &str = "<!-- measured:end -->";

/// A README whose block between the markers says what the records say.
pub(crate) fn readme(readme: &str, sections: &[Section]) -> Result<String, Failure> {
    let missing = || {
        Failure::new("the file has no block between the lines `<!-- measured:begin -->` and `<!-- measured:end -->`")
            .remedy("add them where the table belongs")
    };
    let (before, rest) = readme.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    let mut block = String::new();
    for section in sections {
        let table = tables::summary(section).markdown();
        let _ = write!(block, "\n{}\n\n{table}\n", facts(section));
    }
    Ok(format!("{before}{BEGIN}{block}{END}{after}"))
}
