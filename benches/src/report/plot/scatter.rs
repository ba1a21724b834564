//! Time against the size of the model, both logarithmic.

use super::axis::Axis;
use super::{Anchor, Mark, Svg, title};
use crate::figure::{Number, Seconds};
use crate::report::group::{Kind, Measured, Row};

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 520.0;
/// Room for axis labels, model names and the ends of both.
const LEFT: f64 = 64.0;
const TOP: f64 = 118.0;
const RIGHT: f64 = 60.0;
const BOTTOM: f64 = 48.0;
/// Least distance of two model names.
const APART: f64 = 21.0;

/// Where a row is, and whether it got there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Point {
    /// A value.
    Measured(f64),
    /// Failed after this time.
    Failed(f64),
}

/// A plot of the rows that have a point.
pub(crate) fn scatter(
    name: &str,
    models: &[Measured],
    point: impl Fn(&Row) -> Option<(Point, String)>,
) -> Option<String> {
    let mut points = Vec::new();
    for measured in models {
        let Some(parameters) = measured.model.parameters else {
            continue;
        };
        for row in &measured.rows {
            if let Some((point, text)) = point(row) {
                points.push((parameters as f64, point, measured, row, text));
            }
        }
    }
    let value = |point: Point| match point {
        Point::Measured(y) | Point::Failed(y) => y,
    };
    let x = Axis::of(10.0, points.iter().map(|p| p.0), (LEFT, WIDTH - RIGHT))?;
    let y = points.iter().map(|p| value(p.1));
    let y = Axis::of(10.0, y, (HEIGHT - BOTTOM, TOP))?;

    let mut svg = Svg::new(WIDTH, HEIGHT);
    grid(&mut svg, x, y);
    names(&mut svg, models, x);
    // Plain inference lies behind the rest.
    points.sort_by_key(|p| (p.3.kind != Kind::Plain, matches!(p.1, Point::Failed(_))));
    for (parameters, point, measured, row, text) in points {
        let mark = match point {
            Point::Measured(_) => Mark::of(&row.kind),
            Point::Failed(_) => Mark::Failed,
        };
        let at = (x.at(parameters), y.at(value(point)));
        svg.mark(at, mark, &title(measured, row, &text));
    }
    Some(svg.end(name))
}

fn grid(svg: &mut Svg, x: Axis, y: Axis) {
    for tick in x.ticks(10) {
        let at = x.at(tick);
        svg.line((at, TOP), (at, HEIGHT - BOTTOM), "grid");
        let text = match tick {
            t if t >= 1e6 => format!("{} M", Number(t / 1e6)),
            t if t >= 1e3 => format!("{} k", Number(t / 1e3)),
            t => Number(t).to_string(),
        };
        svg.text((at, HEIGHT - BOTTOM + 18.0), Anchor::Middle, "tick", &text);
    }
    let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
    svg.text((middle, HEIGHT - 8.0), Anchor::Middle, "axis", "parameters");
    for tick in y.ticks(10) {
        let at = y.at(tick);
        svg.line((LEFT, at), (WIDTH - RIGHT, at), "grid");
        let text = match tick {
            t if t < 1e-3 => format!("{} µs", Number((t * 1e6).round())),
            t if t < 1.0 => format!("{} ms", Number((t * 1e3).round())),
            t => Seconds(t.round()).to_string(),
        };
        svg.text((LEFT - 8.0, at + 4.0), Anchor::End, "tick", &text);
    }
}

/// The models' names above their positions, moved apart where they are close.
fn names(svg: &mut Svg, models: &[Measured], x: Axis) {
    let mut last = f64::MIN;
    let known = models.iter().filter_map(|m| Some((m, m.model.parameters?)));
    for (measured, parameters) in known.filter(|(_, parameters)| *parameters > 0) {
        let at = x.at(parameters as f64);
        let label = at.max(last + APART);
        last = label;
        svg.line((at, TOP), (at, HEIGHT - BOTTOM), "guide");
        svg.line((at, TOP), (label, TOP - 10.0), "guide");
        let name = &measured.model.name;
        svg.turned((label + 3.0, TOP - 14.0), -40, Anchor::Start, "name", name);
    }
}
