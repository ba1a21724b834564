//! Failures in words and as a table.

use super::group::Section;
use super::table::{Cell, Table};
use super::tables::{label, seconds};
use crate::record::{Fault, FaultKind};

/// A failure in a few words, with its limit.
pub(crate) fn reason(fault: &Fault) -> String {
    let limit = fault.limit.as_ref();
    let limit = limit.map_or(String::new(), |limit| format!(" (limit: {limit})"));
    format!("{} in {}{limit}", kind(fault.kind), fault.stage)
}

/// The same where there is little room.
pub(crate) fn brief(fault: &Fault) -> String {
    let limit = fault.limit.as_ref();
    let limit = limit.map_or(String::new(), |limit| format!(" at {limit}"));
    format!("{}{limit}, {}", kind(fault.kind), fault.stage)
}

fn kind(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Timeout => "out of time",
        FaultKind::Memory => "out of memory",
        FaultKind::Error => "error",
        FaultKind::Unavailable => "not available",
    }
}

/// What failed.
pub(crate) fn failures(section: &Section) -> Option<Table> {
    let mut rows = Vec::new();
    for measured in &section.models {
        for row in &measured.rows {
            let Some(fault) = &row.failure else { continue };
            rows.push(vec![
                Cell::new(&*measured.model.name),
                Cell::new(label(row)),
                Cell::new(&*fault.stage),
                Cell::failed(kind(fault.kind)),
                Cell::new(fault.limit.as_deref().unwrap_or("–")),
                Cell::new(fault.log.last().map_or("–", String::as_str)),
                seconds(Some(fault.seconds)),
            ]);
        }
    }
    (!rows.is_empty()).then_some(Table {
        header: vec![
            "model",
            "system",
            "stage",
            "failure",
            "limit",
            "last words",
            "after",
        ],
        words: 6,
        rows,
    })
}
