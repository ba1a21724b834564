//! Plots as inline SVG. Colours and fonts are classes of the page's style sheet, which has a light
//! and a dark form; every mark has a title that appears under the pointer.

mod axis;
mod bars;
mod dots;
mod scatter;

pub(crate) use bars::stages;
pub(crate) use dots::dots;
pub(crate) use scatter::{Point, scatter};

use super::group::{Kind, Measured, Row};
use super::table::escape;
use super::tables::label;
use crate::figure::count;
use crate::record::{Profile, Weights};
use std::fmt::Write;

/// A drawing.
struct Svg {
    width: f64,
    height: f64,
    body: String,
}

/// Which side of its position a text is on.
#[derive(Clone, Copy)]
enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            body: String::new(),
        }
    }

    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        let _ = writeln!(
            self.body,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>"
        );
    }

    fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, class: &str, text: &str) {
        self.turned((x, y), 0, anchor, class, text);
    }

    /// Text at an angle in degrees.
    fn turned(&mut self, (x, y): (f64, f64), angle: i32, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let turn = match angle {
            0 => String::new(),
            angle => format!(" transform=\"rotate({angle} {x:.1} {y:.1})\""),
        };
        let _ = writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\"{turn}>{}</text>",
            escape(text)
        );
    }

    fn bar(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), class: &str, title: &str) {
        let _ = writeln!(
            self.body,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             class=\"{class}\"><title>{}</title></rect>",
            escape(title)
        );
    }

    fn mark(&mut self, (x, y): (f64, f64), mark: Mark, title: &str) {
        let _ = writeln!(
            self.body,
            "<path d=\"{}\" transform=\"translate({x:.1} {y:.1})\" class=\"mark {}\">\
             <title>{}</title></path>",
            mark.outline(),
            mark.class(),
            escape(title)
        );
    }

    fn end(self, name: &str) -> String {
        format!(
            "<svg viewBox=\"0 0 {:.0} {:.0}\" role=\"img\" aria-label=\"{}\">\n{}</svg>\n",
            self.width,
            self.height,
            escape(name),
            self.body
        )
    }
}

/// The mark of a system: colour and shape, so that either suffices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    FastCommitted,
    FastPublic,
    AccurateCommitted,
    AccuratePublic,
    Peer,
    Plain,
    Failed,
}

impl Mark {
    fn of(kind: &Kind) -> Self {
        match kind {
            Kind::Strata(Profile::Fast, Weights::Committed, _) => Self::FastCommitted,
            Kind::Strata(Profile::Fast, Weights::Public, _) => Self::FastPublic,
            Kind::Strata(Profile::Accurate, Weights::Committed, _) => Self::AccurateCommitted,
            Kind::Strata(Profile::Accurate, Weights::Public, _) => Self::AccuratePublic,
            Kind::Peer(_) => Self::Peer,
            Kind::Plain => Self::Plain,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::FastCommitted => "fast full",
            Self::FastPublic => "fast hollow",
            Self::AccurateCommitted => "accurate full",
            Self::AccuratePublic => "accurate hollow",
            Self::Peer => "peer full",
            Self::Plain => "plain full",
            Self::Failed => "fail hollow",
        }
    }

    /// Around the origin.
    fn outline(self) -> &'static str {
        match self {
            Self::FastCommitted | Self::FastPublic => "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z",
            Self::AccurateCommitted | Self::AccuratePublic => "M-4.5-4.5h9v9h-9z",
            Self::Peer => "M0-6L6 4.5H-6z",
            Self::Plain => "M0-4.5L4.5 0L0 4.5L-4.5 0z",
            Self::Failed => "M-4.5-4.5L4.5 4.5M-4.5 4.5L4.5-4.5",
        }
    }
}

/// The marks that occur, each with its name.
pub(crate) fn legend<'a>(kinds: impl Iterator<Item = &'a Kind>, failures: bool) -> String {
    let mut entries: Vec<(Mark, String)> = Vec::new();
    let mut kinds: Vec<&Kind> = kinds.collect();
    kinds.sort();
    for kind in kinds {
        let entry = (Mark::of(kind), kind.name());
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    if failures {
        entries.push((Mark::Failed, "failed, at its limit".into()));
    }
    let mut text = String::from("<p class=\"legend\">");
    for (mark, name) in entries {
        let _ = write!(
            text,
            "<span><svg viewBox=\"-8 -8 16 16\" class=\"key\"><path d=\"{}\" class=\"mark {}\"/>\
             </svg>{}</span> ",
            mark.outline(),
            mark.class(),
            escape(&name)
        );
    }
    text.push_str("</p>\n");
    text
}

/// What the pointer shows of a row.
fn title(measured: &Measured, row: &Row, value: &str) -> String {
    let model = &measured.model;
    let parameters = model
        .parameters
        .map_or(String::new(), |n| format!(", {} parameters", count(n)));
    format!("{}{parameters}\n{}: {value}", model.name, label(row))
}
