//! `report`: Markdown, HTML and a README's table, from records alone.

mod fault;
mod group;
mod html;
mod plot;
mod table;
mod tables;
mod text;

#[cfg(test)]
mod tests;

use crate::args;
use crate::failure::{Context, Failure};
use crate::journal;
use crate::record::Record;
use group::Section;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(crate) fn run(args: &args::Report) -> Result<ExitCode, Failure> {
    let sections = sections(&args.records)?;
    if let Some(out) = &args.out {
        write_sections(&sections, out)?;
    }
    let Some(path) = &args.readme else {
        return Ok(ExitCode::SUCCESS);
    };
    let found = fs::read_to_string(path).context(format!("cannot read {}", path.display()))?;
    let expected = text::readme(&found, &sections)?;
    if args.check && found != expected {
        eprintln!(
            "{} does not say what the records say: run this again without --check",
            path.display()
        );
        return Ok(ExitCode::from(1));
    }
    if found != expected {
        write_file(path, &expected)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes `report.md` and `report.html`.
pub(crate) fn write(records: &[PathBuf], out: &Path) -> Result<(), Failure> {
    write_sections(&sections(records)?, out)
}

fn sections(files: &[PathBuf]) -> Result<Vec<Section>, Failure> {
    let records = files.iter().map(|path| journal::read(path));
    let records: Vec<Vec<Record>> = records.collect::<Result<_, _>>()?;
    let records = records.concat();
    if records.is_empty() {
        return Err(Failure::new("the files hold no records").remedy("make some with `compare`"));
    }
    Ok(group::sections(&records))
}

fn write_sections(sections: &[Section], out: &Path) -> Result<(), Failure> {
    fs::create_dir_all(out).context(format!("cannot create {}", out.display()))?;
    for (name, text) in [
        ("report.md", text::markdown(sections)),
        ("report.html", html::page(sections)),
    ] {
        let path = out.join(name);
        write_file(&path, &text)?;
        eprintln!("written: {}", path.display());
    }
    Ok(())
}

fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).context(format!("cannot write {}", path.display()))
}
