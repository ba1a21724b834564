//! One figure of every system on every model: a line per model, a mark per system, logarithmic.

use super::axis::Axis;
use super::{Anchor, Mark, Svg, title};
use crate::report::fault::{brief, reason};
use crate::report::group::{Measured, Row};

const WIDTH: f64 = 920.0;
/// Room for names, for failures, and above.
const LEFT: f64 = 176.0;
const RIGHT: f64 = 250.0;
const TOP: f64 = 30.0;
const LINE: f64 = 26.0;
/// Longest text beside the plot.
const NAME: usize = 26;
const REASON: usize = 42;

/// A plot of the rows that have a value, with ticks at powers of `base`. Failures stand at the
/// right.
pub(crate) fn dots(
    name: &str,
    base: f64,
    models: &[Measured],
    value: impl Fn(&Row) -> Option<f64>,
    text: impl Fn(f64) -> String,
) -> Option<String> {
    let shown = |measured: &&Measured| {
        let mut rows = measured.rows.iter();
        rows.any(|row| value(row).is_some())
    };
    let shown: Vec<&Measured> = models.iter().filter(shown).collect();
    let values = shown.iter().flat_map(|measured| &measured.rows);
    let x = Axis::of(base, values.filter_map(&value), (LEFT, WIDTH - RIGHT))?;
    let height = TOP + LINE * shown.len() as f64;
    let mut svg = Svg::new(WIDTH, height + 8.0);
    for tick in x.ticks(7) {
        let at = x.at(tick);
        svg.line((at, TOP - 6.0), (at, height), "grid");
        svg.text((at, TOP - 12.0), Anchor::Middle, "tick", &text(tick));
    }
    for (i, measured) in shown.iter().enumerate() {
        let y = TOP + LINE * (i as f64 + 0.5);
        let model = cut(&measured.model.name, NAME);
        svg.text((LEFT - 12.0, y + 4.0), Anchor::End, "name", &model);
        let found = measured.rows.iter().filter_map(&value);
        let (low, high) = found.fold((f64::MAX, f64::MIN), |(low, high), v| {
            (low.min(v), high.max(v))
        });
        svg.line((x.at(low), y), (x.at(high), y), "span");
        for row in &measured.rows {
            let Some(v) = value(row) else { continue };
            let (mark, text) = match &row.failure {
                None => (Mark::of(&row.kind), text(v)),
                Some(fault) => (Mark::Failed, format!("{}, {}", text(v), reason(fault))),
            };
            svg.mark((x.at(v), y), mark, &title(measured, row, &text));
        }
        let mut rows = measured.rows.iter();
        if let Some((row, fault)) = rows.find_map(|row| Some((row, row.failure.as_ref()?))) {
            let at = WIDTH - RIGHT + 22.0;
            svg.mark((at, y), Mark::Failed, &title(measured, row, &reason(fault)));
            let text = cut(&format!("{}: {}", row.kind.name(), brief(fault)), REASON);
            svg.text((at + 12.0, y + 4.0), Anchor::Start, "why", &text);
        }
    }
    Some(svg.end(name))
}

/// A text of at most so many characters.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut text: String = text.chars().take(most - 1).collect();
    text.push('…');
    text
}
