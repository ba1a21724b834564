//! One figure of every system on every model: a line per model, a mark per system, logarithmic.

use super::axis::Axis;
use super::{Anchor, Mark, Svg, title};
use crate::report::group::{Measured, Row};
use crate::report::tables::reason;

const WIDTH: f64 = 920.0;
/// Room for names, for failures, and above.
const LEFT: f64 = 176.0;
const RIGHT: f64 = 250.0;
const TOP: f64 = 30.0;
const LINE: f64 = 26.0;
/// Longest text beside the plot.
const NAME: usize = 26;
const REASON: usize = 42;

/// A plot of the rows that have a value. Failures stand at the right.
pub(crate) fn dots(
    name: &str,
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
    let x = Axis::of(values.filter_map(&value), LEFT, WIDTH - RIGHT)?;
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
            if let Some(v) = value(row) {
                let title = title(measured, row, &text(v));
                svg.mark((x.at(v), y), Mark::of(&row.kind), &title);
            }
        }
        let failed = measured.rows.iter().find_map(|row| {
            let fault = row.failure.as_ref().filter(|_| value(row).is_none())?;
            Some((row, fault))
        });
        if let Some((row, fault)) = failed {
            let at = WIDTH - RIGHT + 22.0;
            let text = reason(fault);
            svg.mark((at, y), Mark::Failed, &title(measured, row, &text));
            let text = format!("{}: {text}", row.kind.name());
            svg.text(
                (at + 12.0, y + 4.0),
                Anchor::Start,
                "why",
                &cut(&text, REASON),
            );
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
