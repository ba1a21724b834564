//! The report as one HTML page that needs nothing else.

use super::group::{Kind, Row, Section};
use super::plot::{self, Point};
use super::table::{Table, escape};
use super::{fault, tables, text};
use crate::figure::{Bytes, Number, Seconds};
use std::fmt::Write;

const STYLE: &str = include_str!("style.css");

/// The page.
pub(crate) fn page(sections: &[Section]) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>zkstrata, measured</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>zkstrata, measured</h1>\n<p class=\"note\">{}</p>\n",
        escape(text::METHOD)
    );
    for section in sections {
        self::section(&mut page, section);
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn section(page: &mut String, section: &Section) {
    let facts = escape(&text::facts(section));
    let _ = writeln!(page, "<p class=\"facts\">{facts}</p>");
    let rows = || section.models.iter().flat_map(|measured| &measured.rows);
    let failures = rows().any(|row| row.failure.is_some());
    let legend = plot::legend(rows().map(|row| &row.kind), failures);
    let models = &section.models;
    let mut figure = |title: &str, caption: &str, legend: &str, plot: Option<String>| {
        if let Some(plot) = plot {
            let _ = write!(
                page,
                "<h2>{}</h2>\n<figure>\n<figcaption>{}</figcaption>\n{legend}{plot}</figure>\n",
                escape(title),
                escape(caption)
            );
        }
    };
    let prove = |row: &Row| proving(row);
    figure(
        "Proving time against model size",
        "Lower is better. Grey: plain inference, the floor. A cross is where a system stopped: the \
         time after which it exceeded a limit or failed.",
        &legend,
        plot::scatter("Proving time against model size", models, prove),
    );
    figure(
        "Ratio to plain inference",
        "Proving time over onnxruntime with one thread, in turns in the same minutes. Left is \
         better.",
        &legend,
        plot::dots("Ratio to plain inference", 10.0, models, Row::ratio, |x| {
            format!("{} ×", Number(x))
        }),
    );
    figure(
        "Stages of proving",
        "Shares of zkstrata's proving time, 8-bit profile; what is left to the right is outside \
         the stages.",
        "",
        plot::stages(section),
    );
    figure(
        "Proof size",
        "Left is better.",
        &legend,
        plot::dots(
            "Proof size",
            4.0,
            models,
            |row| row.proof,
            |n| Bytes(n).to_string(),
        ),
    );
    figure(
        "Verification time",
        "With a key in memory. Left is better.",
        &legend,
        plot::dots(
            "Verification time",
            10.0,
            models,
            |row| row.verify,
            |s| Seconds(s).to_string(),
        ),
    );
    figure(
        "Peak memory",
        "Of the hungriest stage. Left is better.",
        &legend,
        plot::dots("Peak memory", 4.0, models, Row::peak, |n| {
            Bytes(n).to_string()
        }),
    );
    tables(page, section);
}

/// Where a row is in the first plot.
fn proving(row: &Row) -> Option<(Point, String)> {
    if row.kind == Kind::Plain {
        let inference = row.inference.filter(|_| row.threads == 1)?;
        return Some((Point::Measured(inference), Seconds(inference).to_string()));
    }
    match (&row.failure, row.prove) {
        (None, prove) => {
            let prove = prove?;
            Some((Point::Measured(prove), Seconds(prove).to_string()))
        }
        (Some(failure), _) => {
            // Of the stages before as well.
            let seconds: f64 = row.parts.values().sum::<f64>() + failure.seconds;
            let reason = fault::reason(failure);
            let text = format!("{reason}, after {}", Seconds(seconds));
            (seconds > 0.0).then_some((Point::Failed(seconds), text))
        }
    }
}

fn tables(page: &mut String, section: &Section) {
    let mut table = |title: &str, table: Option<Table>| {
        if let Some(table) = table {
            let _ = write!(page, "<h2>{}</h2>\n{}", escape(title), table.html());
        }
    };
    table("Summary", Some(tables::summary(section)));
    table("Failures", fault::failures(section));
    table("Stages of zkstrata's prover", tables::stages(section));
    table("Stages of the other systems", tables::pipeline(section));
    table("Keys and memory", Some(tables::resources(section)));
    page.push_str("<h2>Every model</h2>\n");
    for measured in &section.models {
        let _ = write!(
            page,
            "<h3>{}</h3>\n<p class=\"facts\">{}</p>\n{}",
            escape(&measured.model.name),
            escape(&text::about(measured)),
            tables::of_model(measured).html()
        );
    }
}
