//! What became of all cases: a table per profile, a list of what did not pass, and JSON.

use crate::args::Profile;
use crate::case::{Case, Figures, Outcome};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::{self, Write};

/// Cases by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// [`Outcome::Passed`]
    pub passed: usize,
    /// [`Outcome::Wrong`]
    pub wrong: usize,
    /// [`Outcome::Refused`]
    pub refused: usize,
    /// [`Outcome::Crashed`]
    pub crashed: usize,
}

impl Counts {
    fn of<'a>(cases: impl IntoIterator<Item = &'a Case>) -> Self {
        let mut counts = Self::default();
        for case in cases {
            *match case.outcome {
                Outcome::Passed => &mut counts.passed,
                Outcome::Wrong => &mut counts.wrong,
                Outcome::Refused => &mut counts.refused,
                Outcome::Crashed => &mut counts.crashed,
            } += 1;
        }
        counts
    }

    /// Cases in all.
    pub fn all(self) -> usize {
        self.passed + self.wrong + self.refused + self.crashed
    }

    /// Passed cases in percent of all.
    pub fn percent(self) -> f64 {
        100.0 * self.passed as f64 / self.all().max(1) as f64
    }
}

/// One of the times of a case.
type Seconds = fn(&Figures) -> Option<f64>;

/// Every case of a run.
#[derive(Clone, Debug)]
pub struct Report {
    profiles: &'static [Profile],
    cases: Vec<Case>,
}

impl Report {
    pub(crate) fn new(profiles: &'static [Profile], cases: Vec<Case>) -> Self {
        Self { profiles, cases }
    }

    /// The cases, those of one profile after those of another, in the order of their names.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// What is wrong or crashed, in words; `None` if nothing is.
    pub fn fault(&self) -> Option<String> {
        let counts = Counts::of(&self.cases);
        let (wrong, crashed) = (counts.wrong, counts.crashed);
        (wrong + crashed > 0).then(|| format!("{wrong} wrong and {crashed} crashed cases"))
    }

    /// The keys of the JSON form.
    pub fn json(&self) -> Map<String, Value> {
        let profiles = self.profiles.iter().map(|&profile| {
            let counts = Counts::of(self.of(profile));
            let float = Counts::of(self.float(profile));
            let json = serde_json::json!({
                "cases": counts.all(),
                "counts": counts,
                "float": { "cases": float.all(), "passed": float.passed, "percent": float.percent() },
                "rows": self.rows(profile),
            });
            (profile.to_string(), json)
        });
        let profiles: Map<String, Value> = profiles.collect();
        let cases = serde_json::to_value(&self.cases).expect("cases are plain data");
        Map::from_iter([
            ("profiles".to_owned(), profiles.into()),
            ("cases".to_owned(), cases),
        ])
    }

    fn of(&self, profile: Profile) -> impl Iterator<Item = &Case> {
        self.cases
            .iter()
            .filter(move |case| case.profile == profile)
    }

    /// The cases whose outputs are all floats; one of which that was not learnt counts.
    fn float(&self, profile: Profile) -> impl Iterator<Item = &Case> {
        self.of(profile)
            .filter(|case| case.float_outputs != Some(false))
    }

    fn rows(&self, profile: Profile) -> BTreeMap<&str, Counts> {
        let mut rows: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
        for case in self.of(profile) {
            rows.entry(&case.row).or_default().push(case);
        }
        let rows = rows.into_iter();
        rows.map(|(row, cases)| (row, Counts::of(cases))).collect()
    }

    fn table(&self, profile: Profile, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows(profile);
        let wide = |name: &&str| name.chars().count();
        let width = rows.keys().map(wide).max().unwrap_or(0).max(8);
        let mut line = |name: &str, cells: [&dyn fmt::Display; 4]| {
            let [passed, wrong, refused, crashed] = cells;
            writeln!(
                f,
                "{name:<width$} {passed:>8} {wrong:>8} {refused:>8} {crashed:>8}"
            )
        };
        line(
            &profile.to_string(),
            [&"passed", &"wrong", &"refused", &"crashed"],
        )?;
        let total = Counts::of(self.of(profile));
        for (name, counts) in rows.into_iter().chain([("total", total)]) {
            let Counts {
                passed,
                wrong,
                refused,
                crashed,
            } = counts;
            line(name, [&passed, &wrong, &refused, &crashed])?;
        }
        let float = Counts::of(self.float(profile));
        let (passed, all) = (total.passed, total.all());
        writeln!(
            f,
            "passed: {passed} of {all} cases ({:.1} %)",
            total.percent()
        )?;
        let (passed, all, percent) = (float.passed, float.all(), float.percent());
        writeln!(
            f,
            "all outputs floats: {passed} of {all} cases passed ({percent:.1} %)"
        )?;
        let constants = self.of(profile).filter(|case| !case.constants.is_empty());
        let constants = Counts::of(constants);
        if constants.all() > 0 {
            let (passed, all) = (constants.passed, constants.all());
            writeln!(
                f,
                "with inputs as constants: {passed} of {all} cases passed"
            )?;
        }
        self.times(profile, f)
    }

    /// Medians over the cases that have them.
    fn times(&self, profile: Profile, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        let figures: [(&str, Seconds); 3] = [
            ("setup", |f| f.setup_s),
            ("proving", |f| f.prove_s),
            ("verifying", |f| f.verify_s),
        ];
        for (name, figure) in figures {
            let mut seconds: Vec<f64> = self
                .of(profile)
                .filter_map(|c| figure(&c.figures))
                .collect();
            seconds.sort_by(f64::total_cmp);
            if let (Some(median), Some(last)) = (seconds.get(seconds.len() / 2), seconds.last()) {
                let (median, last) = (1e3 * median, 1e3 * last);
                write!(text, "; {name} {median:.2} ms, at most {last:.1} ms")?;
            }
        }
        match text.strip_prefix("; ") {
            Some(text) => writeln!(f, "medians: {text}"),
            None => Ok(()),
        }
    }

    fn list(&self, profile: Profile, outcome: Outcome, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cases = self
            .of(profile)
            .filter(|case| case.outcome == outcome)
            .peekable();
        if cases.peek().is_none() {
            return Ok(());
        }
        let title = match outcome {
            Outcome::Passed => "passed",
            Outcome::Wrong => "wrong",
            Outcome::Refused => "refused",
            Outcome::Crashed => "crashed",
        };
        writeln!(f, "\n{title} ({profile}):")?;
        for case in cases {
            let name = if case.name.is_empty() {
                &case.row
            } else {
                &case.name
            };
            let reason = case.reason.as_deref().unwrap_or_default();
            let lines: Vec<&str> = reason.split_whitespace().collect();
            writeln!(f, "  {name}: {}", lines.join(" "))?;
        }
        Ok(())
    }
}

/// The text form.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &profile in self.profiles {
            self.table(profile, f)?;
            for outcome in [Outcome::Wrong, Outcome::Crashed, Outcome::Refused] {
                self.list(profile, outcome, f)?;
            }
        }
        Ok(())
    }
}
