//! A tracing layer that shows the stage at hand and adds up every stage's time.
//!
//! The prover opens one span per stage; spans and warnings of other crates are ignored.

use crate::report::{Report, say};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// Warnings of a long list that are shown.
const SHOWN: usize = 4;

/// Time spent in each stage, in the order of their first appearance.
pub(crate) type Stages = Vec<(&'static str, Duration)>;

/// Where warnings go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// A bar and warnings on standard error.
    Text,
    /// Nothing is shown; warnings are collected.
    Json,
}

/// The state of a command's stages.
#[derive(Clone)]
pub(crate) struct Progress {
    style: Style,
    bar: ProgressBar,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    expected: Vec<&'static str>,
    stages: Stages,
    warnings: Vec<String>,
    notes: Vec<String>,
}

impl Progress {
    /// Starts to listen to the prover's spans.
    pub(crate) fn start(style: Style) -> Self {
        let bar = ProgressBar::no_length();
        bar.set_draw_target(match style {
            // Hidden by itself when standard error is not a terminal.
            Style::Text => ProgressDrawTarget::stderr(),
            Style::Json => ProgressDrawTarget::hidden(),
        });
        let template = "{spinner} {msg:<10} [{bar:24}] {pos}/{len} {elapsed}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        let state = Arc::default();
        let progress = Self { style, bar, state };
        let subscriber = Registry::default().with(progress.clone());
        tracing::subscriber::set_global_default(subscriber)
            .expect("only this function sets the subscriber, once");
        progress
    }

    /// Announces the stages that the bar counts, and how often each will occur.
    pub(crate) fn expect(&self, stages: &[&'static str], times: usize) {
        self.state().expected = stages.to_vec();
        self.bar.set_length((stages.len() * times) as u64);
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Tells the user at once, or keeps the text for the JSON report.
    pub(crate) fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        self.tell("warning", &text);
        self.state().warnings.push(text);
    }

    /// The same of a list that may be long: in text its first ones, and how many more there are.
    pub(crate) fn warn_all(&self, warnings: &[&String]) {
        let few = match self.style {
            Style::Text => SHOWN.min(warnings.len()),
            Style::Json => warnings.len(),
        };
        let (first, others) = warnings.split_at(few);
        for &warning in first {
            self.warn(warning);
        }
        if !others.is_empty() {
            let more = others.len();
            self.warn(format!("{more} more of these, which `--json` lists"));
        }
    }

    /// The same for what is merely good to know.
    pub(crate) fn note(&self, text: impl Into<String>) {
        let text = text.into();
        self.tell("note", &text);
        self.state().notes.push(text);
    }

    fn tell(&self, kind: &str, text: &str) {
        if self.style == Style::Text {
            self.bar.suspend(|| say(format_args!("{kind}: {text}")));
        }
    }

    /// Adds all warnings and notes to a report.
    pub(crate) fn report(&self, report: &mut Report) {
        let state = self.state();
        report.set("warnings", state.warnings.clone());
        report.set("notes", state.notes.clone());
    }

    /// The times since the last call.
    pub(crate) fn take_stages(&self) -> Stages {
        std::mem::take(&mut self.state().stages)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("zkstrata")
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Progress {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let level = if metadata.is_span() {
            Level::INFO
        } else {
            Level::WARN
        };
        is_ours(metadata) && *metadata.level() <= level
    }

    fn on_enter(&self, id: &span::Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        span.extensions_mut().replace(Instant::now());
        if self.state().expected.contains(&span.name()) {
            self.bar.set_message(span.name());
        }
    }

    fn on_exit(&self, id: &span::Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let Some(start) = span.extensions_mut().remove::<Instant>() else {
            return;
        };
        let (name, time) = (span.name(), start.elapsed());
        let mut state = self.state();
        match state.stages.iter_mut().find(|(stage, _)| *stage == name) {
            Some((_, total)) => *total += time,
            None => state.stages.push((name, time)),
        }
        if state.expected.contains(&name) {
            self.bar.inc(1);
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        self.warn(match text.fields.as_str() {
            "" => text.message,
            fields => format!("{} ({fields})", text.message),
        });
    }
}

/// An event as a line: its message, and `name = value` for its other fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            let comma = if self.fields.is_empty() { "" } else { ", " };
            write!(self.fields, "{comma}{} = {value:?}", field.name())
                .expect("writing to a string succeeds");
        }
    }
}
