//! A virtual environment with pinned packages, made once.

use crate::failure::{Context, Failure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Says that an environment is complete.
const MARKER: &str = ".complete";

/// The interpreter of an environment that has these requirements, in a directory of their hash.
pub(super) fn interpreter(
    name: &str,
    requirements: &str,
    python: &Path,
    cache: &Path,
) -> Result<PathBuf, Failure> {
    let hash = blake3::hash(requirements.as_bytes()).to_hex();
    let home = cache.join(format!("venv-{name}-{}", &hash[..8]));
    let bin = if cfg!(windows) { "Scripts" } else { "bin" };
    let interpreter = home.join(bin).join("python");
    if home.join(MARKER).is_file() {
        return Ok(interpreter);
    }
    eprintln!("{name}: making {}", home.display());
    if home.exists() {
        fs::remove_dir_all(&home).context(format!("cannot remove {}", home.display()))?;
    }
    run(Command::new(python).args(["-m", "venv"]).arg(&home))
        .map_err(|failure| failure.remedy("Python 3.11 or newer with its venv module is needed (python3-venv on Debian); --python names another interpreter"))?;
    let list = home.join("requirements.txt");
    fs::write(&list, requirements).context(format!("cannot write {}", list.display()))?;
    let arguments = ["-m", "pip", "install", "--disable-pip-version-check", "-r"];
    run(Command::new(&interpreter).args(arguments).arg(&list)).map_err(|failure| {
        failure.remedy("PyPI must be reachable and have the package for this Python and machine")
    })?;
    fs::write(home.join(MARKER), "").context(format!("cannot write {}", home.display()))?;
    Ok(interpreter)
}

fn run(command: &mut Command) -> Result<(), Failure> {
    let name = command.get_program().display().to_string();
    let output = command.output().context(format!("cannot run {name}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let lines = &lines[lines.len().saturating_sub(3)..];
    let arguments: Vec<_> = command.get_args().take(3).collect();
    let what = format!("{name} {arguments:?}: {}", output.status);
    Err(Failure::new(format!("{what}: {}", lines.join(" / "))))
}
