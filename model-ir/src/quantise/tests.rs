//! Models from end to end: float against integer.

use super::*;
use crate::float::random::{Random, random_graph};
use ndarray::ArrayD;

fn samples(graph: &Graph, random: &mut Random, n: usize) -> Vec<Vec<ArrayD<f32>>> {
    let mut sample = || {
        let inputs = graph.inputs().map(|v| &graph.nodes()[v.0].shape);
        inputs.map(|shape| random.array(shape)).collect()
    };
    (0..n).map(|_| sample()).collect()
}

#[test]
fn random_graphs_stay_close_to_float() {
    for (profile, typical, worst) in [(Profile::Accurate, 0.003, 0.05), (Profile::Fast, 0.05, 0.6)]
    {
        let mut errors = vec![];
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let graph = random_graph(&mut random);
            let inputs = samples(&graph, &mut random, 20);
            let calibration = Calibration::from_samples(inputs.clone());
            let options = Options::new(profile);
            let quantised = quantise(&graph, &calibration, &options).expect("quantises");
            let again = quantise(&graph, &calibration, &options).expect("quantises");
            assert_eq!(quantised.model.digest(), again.model.digest());
            let accuracy = Accuracy::measure(&graph, &quantised.model, &inputs);
            let accuracy = accuracy.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            let output = &accuracy.outputs[0];
            errors.push(output.rms_error / output.rms);
        }
        errors.sort_by(f64::total_cmp);
        let (median, most) = (errors[100], errors[199]);
        assert!(
            median < typical && most < worst,
            "{profile:?} {median} {most}"
        );
    }
}
