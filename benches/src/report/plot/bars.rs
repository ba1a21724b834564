//! The parts of zkstrata's proving time, as shares of it.

use super::{Anchor, Svg};
use crate::figure::Seconds;
use crate::record::{Profile, Proofs};
use crate::report::group::{Kind, Section};
use crate::report::table::escape;
use crate::report::tables::{STAGES, label};
use std::fmt::Write;

const WIDTH: f64 = 920.0;
const LEFT: f64 = 270.0;
const RIGHT: f64 = 80.0;
const LINE: f64 = 24.0;
const THICK: f64 = 16.0;

/// One bar for each setting of the first profile that was measured, and a legend.
pub(crate) fn stages(section: &Section) -> Option<String> {
    let mut rows = Vec::new();
    for measured in &section.models {
        for row in &measured.rows {
            let is_shown = matches!(row.kind, Kind::Strata(Profile::Fast, _, Proofs::Fast));
            if is_shown && let Some(prove) = row.prove {
                rows.push((measured, row, prove));
            }
        }
    }
    if rows.is_empty() {
        return None;
    }
    let mut svg = Svg::new(WIDTH, LINE * rows.len() as f64 + 6.0);
    for (i, (measured, row, prove)) in rows.iter().enumerate() {
        let y = LINE * (i as f64 + 0.5) + 3.0;
        let setting = label(row).replace("zkstrata fast, ", "");
        let name = format!("{}, {setting}", measured.model.name);
        svg.text((LEFT - 12.0, y + 4.0), Anchor::End, "name", &name);
        let mut x = LEFT;
        // With an even number of runs, the median may be less than the time of this one.
        let sum: f64 = STAGES
            .iter()
            .filter_map(|stage| row.parts.get(*stage))
            .sum();
        let whole = prove.max(sum);
        for (k, stage) in STAGES.iter().enumerate() {
            let Some(&time) = row.parts.get(*stage) else {
                continue;
            };
            let share = time / whole;
            let width = share * (WIDTH - LEFT - RIGHT);
            let title = format!("{name}\n{stage}: {}, {:.0} %", Seconds(time), 100.0 * share);
            svg.bar(
                (x, y - THICK / 2.0),
                (width, THICK),
                &format!("stage{k}"),
                &title,
            );
            x += width;
        }
        let total = Seconds(*prove).to_string();
        svg.text(
            (WIDTH - RIGHT + 10.0, y + 4.0),
            Anchor::Start,
            "tick",
            &total,
        );
    }
    let mut legend = String::from("<p class=\"legend\">");
    for (k, stage) in STAGES.iter().enumerate() {
        let _ = write!(
            legend,
            "<span><svg viewBox=\"0 0 16 16\" class=\"key\"><rect x=\"2\" y=\"2\" width=\"12\" \
             height=\"12\" class=\"stage{k}\"/></svg>{}</span> ",
            escape(stage)
        );
    }
    legend.push_str("</p>\n");
    Some(legend + &svg.end("Stages of proving"))
}
