//! Whole proofs of seeded models: a CNN of digits size, batches of it, and a perceptron with
//! weights that are committed.

use criterion::{BenchmarkId, Criterion};
use ndarray::{ArrayD, IxDyn};
use zkstrata_gkr::{ProvingKey, setup};
use zkstrata_model_ir::float::{Activation, Graph, GraphBuilder, Op, PoolKind, ValueId, Window};
use zkstrata_model_ir::quantise::{Calibration, Options, Profile, quantise};

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Builds layers with seeded weights.
struct Net {
    builder: GraphBuilder,
    last: ValueId,
    state: u64,
}

impl Net {
    fn new(input: &[usize]) -> Self {
        let mut builder = GraphBuilder::new();
        let last = builder.input("x", input).expect("an input");
        Self {
            builder,
            last,
            state: 1,
        }
    }

    /// Uniform values of variance `1 / fan_in`.
    fn weights(&mut self, shape: &[usize], fan_in: usize) -> ArrayD<f32> {
        let scale = (3.0 / fan_in as f32).sqrt();
        ArrayD::from_shape_simple_fn(IxDyn(shape), || {
            self.state = self
                .state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            scale * ((self.state >> 40) as f32 / (1 << 23) as f32 - 1.0)
        })
    }

    fn push(&mut self, op: Op) {
        let name = format!("n{}", self.last.0 + 1);
        self.last = self
            .builder
            .add(&name, op, &[self.last])
            .expect("shapes fit");
    }

    fn dense(&mut self, inputs: usize, outputs: usize) {
        let weight = self.weights(&[inputs, outputs], inputs);
        self.push(Op::Dense { weight, bias: None });
    }

    fn relu(&mut self) {
        self.push(Op::Activation(Activation::Relu));
    }

    fn conv_relu_pool(&mut self, inputs: usize, outputs: usize) {
        let window = |kernel, stride, pad| Window {
            kernel,
            stride,
            dilation: 1,
            pad_begin: pad,
            pad_end: pad,
        };
        let weight = self.weights(&[outputs, inputs, 3, 3], 9 * inputs);
        self.push(Op::Conv {
            weight,
            bias: None,
            groups: 1,
            windows: vec![window(3, 1, 1); 2],
        });
        self.relu();
        self.push(Op::Pool {
            kind: PoolKind::Max,
            windows: vec![window(2, 2, 0); 2],
        });
    }

    fn finish(self) -> Graph {
        let outputs = vec![("y".to_owned(), self.last)];
        self.builder.finish(outputs).expect("a graph")
    }
}

fn digits() -> Graph {
    let mut net = Net::new(&[1, 1, 8, 8]);
    net.conv_relu_pool(1, 16);
    net.conv_relu_pool(16, 32);
    net.push(Op::Reshape {
        shape: vec![1, 128],
    });
    net.dense(128, 64);
    net.relu();
    net.dense(64, 10);
    net.finish()
}

fn perceptron() -> Graph {
    let mut net = Net::new(&[1, 256]);
    for _ in 0..4 {
        net.dense(256, 256);
        net.relu();
    }
    net.dense(256, 10);
    net.finish()
}

/// The key of a graph and a batch of its calibration samples.
fn prepare(graph: &Graph, batch: usize) -> (ProvingKey, Vec<Vec<ArrayD<f32>>>) {
    let calibration = Calibration::synthetic(graph, 1);
    let quantised = quantise(graph, &calibration, &Options::new(Profile::Fast));
    let (pk, _) = setup(quantised.expect("quantises").model).expect("sets up");
    let samples = calibration.samples().iter().cycle().take(batch);
    (pk, samples.cloned().collect())
}

fn main() {
    let mut c = Criterion::default().sample_size(20).configure_from_args();
    let graphs = [("digits cnn", digits()), ("perceptron 264k", perceptron())];
    for (name, graph) in &graphs {
        let mut group = c.benchmark_group(*name);
        for batch in [1, 16] {
            let (pk, inputs) = prepare(graph, batch);
            group.bench_function(BenchmarkId::new("prove", batch), |b| {
                b.iter(|| pk.prove(&inputs).expect("proves"));
            });
            let proven = pk.prove(&inputs).expect("proves");
            let (statement, proof) = (proven.statement, proven.proof);
            group.bench_function(BenchmarkId::new("verify", batch), |b| {
                b.iter(|| {
                    pk.verifying_key()
                        .verify(&statement, &proof)
                        .expect("verifies");
                });
            });
        }
        group.finish();
    }
    c.final_summary();
}
