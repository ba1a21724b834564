//! onnxruntime as another reference: a Python process that has it, asked graph by graph.

use super::graph::{Case, Values};
use super::save::array;
use crate::npy;
use ndarray::ArrayD;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A process that runs models.
pub(super) struct Runtime(Child);

impl Runtime {
    /// Starts the process; `python` has onnxruntime and numpy.
    pub(super) fn start(python: &Path) -> std::io::Result<Self> {
        let process = Command::new(python)
            .args(["-c", include_str!("runtime.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        process.map(Self)
    }

    /// The outputs on every sample; an error says why onnxruntime does not run the graph.
    pub(super) fn run(
        &mut self,
        case: &Case,
        values: &Values,
    ) -> Result<Vec<Vec<ArrayD<f64>>>, String> {
        let failed = |error: std::io::Error| format!("the Python process: {error}");
        let mut request = Vec::new();
        let mut frame = |bytes: &[u8]| {
            request.extend((bytes.len() as u32).to_le_bytes());
            request.extend(bytes);
        };
        frame(&case.encode(values));
        let counts = [case.samples.len() as u32, case.inputs.len() as u32];
        frame(&counts.map(u32::to_le_bytes).concat());
        for tensor in case.samples.iter().flatten() {
            frame(&array(tensor));
        }
        let input = self.0.stdin.as_mut().ok_or("no pipe")?;
        input
            .write_all(&request)
            .and_then(|()| input.flush())
            .map_err(failed)?;
        let first = self.frame().map_err(failed)?;
        if !first.is_empty() {
            return Err(String::from_utf8_lossy(&first).into_owned());
        }
        let mut all = Vec::new();
        for _ in &case.samples {
            let mut outputs = Vec::new();
            for _ in &case.outputs {
                let bytes = self.frame().map_err(failed)?;
                outputs.push(npy::read::<f64>(&bytes)?.1);
            }
            all.push(outputs);
        }
        Ok(all)
    }

    fn frame(&mut self) -> std::io::Result<Vec<u8>> {
        let output = self
            .0
            .stdout
            .as_mut()
            .ok_or(std::io::ErrorKind::BrokenPipe)?;
        let mut length = [0; 4];
        output.read_exact(&mut length)?;
        let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
        output.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // It ends where its input does.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
