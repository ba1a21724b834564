//! Benchmarks: `cargo bench -p zkstrata-benches`. Speed is asserted nowhere else; quote ratios
//! measured in one run.
