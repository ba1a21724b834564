//! A network that is written layer by layer, with the weights of each layer.
//!
//! With a pre-activation of variance 1 everywhere, nothing vanishes or explodes. A filter of `n`
//! weights of variance `g / n` on independent inputs of second moment `m` gives variance `g m`.
//! Behind a linear layer `m = 1` and `g = 1`. Behind a `ReLU` of a standard normal `m = 1/2` and
//! `g = 2`; there a filter over several channels also has the mean of its weights subtracted, so
//! that the inputs' mean, which says nothing about the sample, drops out, as batch normalisation
//! makes it in training. What remains is their variance `1/2 - 1/(2 pi)`, and `g` its inverse.

use crate::message::{constant, declare, float, int, ints};
use crate::random::{DEVIATION, Random};
use prost::Message;
use zkstrata_onnx_import::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, tensor_proto::DataType,
};

const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;

/// A tensor of the graph: the output of the node of the same name.
#[derive(Clone)]
pub(crate) struct Tensor {
    name: String,
    shape: Vec<usize>,
    sign: Sign,
}

impl Tensor {
    fn new(name: &str, shape: Vec<usize>, sign: Sign) -> Self {
        Self {
            name: name.into(),
            shape,
            sign,
        }
    }

    /// A tensor of mean 0.
    pub(crate) fn of(name: &str, shape: &[usize]) -> Self {
        Self::new(name, shape.to_vec(), Sign::Both)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Length of the last axis.
    pub(crate) fn width(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// The shape with another last axis.
    pub(crate) fn with_width(&self, width: usize) -> Vec<usize> {
        let mut shape = self.shape.clone();
        if let Some(last) = shape.last_mut() {
            *last = width;
        }
        shape
    }

    /// Number of channels or features.
    pub(crate) fn channels(&self) -> usize {
        self.shape[1]
    }

    /// Height of an image.
    pub(crate) fn height(&self) -> usize {
        self.shape[2]
    }
}

/// What the weights of the next layer need to know about their inputs.
#[derive(Clone, Copy)]
enum Sign {
    /// Mean 0.
    Both,
    /// Not negative.
    Plus,
}

/// A window that slides over height and width.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    kernel: [usize; 2],
    stride: usize,
    pad: [usize; 2],
}

impl Window {
    /// `kernel x kernel`, one step at a time, without padding.
    pub(crate) fn square(kernel: usize) -> Self {
        Self::new([kernel, kernel])
    }

    pub(crate) fn new(kernel: [usize; 2]) -> Self {
        Self {
            kernel,
            stride: 1,
            pad: [0, 0],
        }
    }

    pub(crate) fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// Rows and columns of zeros on either side.
    pub(crate) fn pad(self, pad: [usize; 2]) -> Self {
        Self { pad, ..self }
    }

    /// As many zeros as keep the size at stride 1; for odd kernels.
    pub(crate) fn same(self) -> Self {
        let pad = self.kernel.map(|k| k / 2);
        self.pad(pad)
    }

    fn output(self, axis: usize, input: usize) -> usize {
        (input + 2 * self.pad[axis] - self.kernel[axis]) / self.stride + 1
    }

    fn attributes(self) -> Vec<AttributeProto> {
        let [top, left] = self.pad;
        vec![
            ints("kernel_shape", &self.kernel),
            ints("strides", &[self.stride, self.stride]),
            ints("pads", &[top, left, top, left]),
        ]
    }
}

pub(crate) struct Net {
    graph: GraphProto,
}

impl Net {
    /// A network called `name`, which seeds the weights, and its input of such cells.
    pub(crate) fn new(name: &str, cells: DataType, shape: &[usize]) -> (Self, Tensor) {
        let graph = GraphProto {
            name: name.into(),
            input: vec![declare("input", cells, shape)],
            ..GraphProto::default()
        };
        let input = Tensor::new("input", shape.to_vec(), Sign::Both);
        (Self { graph }, input)
    }

    /// The bytes of the ONNX file with the given output, that of the last node.
    pub(crate) fn finish(mut self, output: &Tensor) -> Vec<u8> {
        let last = self.graph.node.last_mut().expect("a network has nodes");
        assert_eq!(last.name, output.name, "the last node is the output");
        last.output = vec!["output".into()];
        self.graph.output = vec![declare("output", DataType::Float, &output.shape)];
        let model = ModelProto {
            ir_version: IR_VERSION,
            opset_import: vec![OperatorSetIdProto {
                version: OPSET,
                ..OperatorSetIdProto::default()
            }],
            producer_name: "zkstrata-zoo".into(),
            graph: Some(self.graph),
            ..ModelProto::default()
        };
        model.encode_to_vec()
    }

    /// A convolution without bias.
    pub(crate) fn conv(&mut self, name: &str, x: &Tensor, to: usize, window: Window) -> Tensor {
        self.grouped(name, x, to, window, 1, None)
    }

    pub(crate) fn conv_bias(
        &mut self,
        name: &str,
        x: &Tensor,
        to: usize,
        window: Window,
    ) -> Tensor {
        let bias = self.bias(name, to);
        self.grouped(name, x, to, window, 1, Some(&bias))
    }

    /// One filter for each channel, without bias.
    pub(crate) fn depthwise(&mut self, name: &str, x: &Tensor, window: Window) -> Tensor {
        self.grouped(name, x, x.channels(), window, x.channels(), None)
    }

    pub(crate) fn depthwise_bias(&mut self, name: &str, x: &Tensor, window: Window) -> Tensor {
        let bias = self.bias(name, x.channels());
        self.grouped(name, x, x.channels(), window, x.channels(), Some(&bias))
    }

    fn grouped(
        &mut self,
        name: &str,
        x: &Tensor,
        to: usize,
        window: Window,
        groups: usize,
        bias: Option<&str>,
    ) -> Tensor {
        let [height, width] = window.kernel;
        let shape = [to, x.channels() / groups, height, width];
        let weight = self.filters(name, x, &shape);
        let inputs = [&*x.name, &weight].into_iter().chain(bias);
        let inputs: Vec<&str> = inputs.collect();
        let attributes = [window.attributes(), vec![int("group", groups)]].concat();
        let y = Tensor::new(name, windowed(x, to, window), Sign::Both);
        self.node("Conv", &inputs, attributes, y)
    }

    /// A dense layer with bias.
    pub(crate) fn gemm(&mut self, name: &str, x: &Tensor, to: usize) -> Tensor {
        let bias = self.bias(name, to);
        let weight = self.filters(name, x, &[to, x.channels()]);
        let y = Tensor::new(name, vec![1, to], Sign::Both);
        let attributes = vec![int("transB", 1)];
        self.node("Gemm", &[&x.name, &weight, &bias], attributes, y)
    }

    /// Batch normalisation with its statistics, which multiplies by about `gamma`.
    pub(crate) fn batch_norm(&mut self, name: &str, x: &Tensor, gamma: f32) -> Tensor {
        let mut vector = |part: &str, centre, radius| {
            self.around(&format!("{name}.{part}"), x.channels(), centre, radius)
        };
        let gamma = vector("weight", gamma, 0.2 * gamma);
        let beta = vector("bias", 0.0, 0.2);
        let mean = vector("running_mean", 0.0, 0.2);
        let variance = vector("running_var", 1.0, 0.2);
        let inputs = [&*x.name, &gamma, &beta, &mean, &variance];
        let y = Tensor::new(name, x.shape.clone(), Sign::Both);
        self.node(
            "BatchNormalization",
            &inputs,
            vec![float("epsilon", 1e-5)],
            y,
        )
    }

    pub(crate) fn relu(&mut self, name: &str, x: &Tensor) -> Tensor {
        let y = Tensor::new(name, x.shape.clone(), Sign::Plus);
        self.node("Relu", &[&x.name], Vec::new(), y)
    }

    /// `min(max(x, 0), 6)`.
    pub(crate) fn relu6(&mut self, name: &str, x: &Tensor) -> Tensor {
        for (bound, value) in [("clip.min", 0.0_f32), ("clip.max", 6.0)] {
            self.scalar(bound, value);
        }
        let y = Tensor::new(name, x.shape.clone(), Sign::Plus);
        self.node("Clip", &[&x.name, "clip.min", "clip.max"], Vec::new(), y)
    }

    pub(crate) fn add(&mut self, name: &str, x: &Tensor, y: &Tensor) -> Tensor {
        assert_eq!(x.shape, y.shape, "{name}");
        let z = Tensor::new(name, x.shape.clone(), Sign::Both);
        self.node("Add", &[&x.name, &y.name], Vec::new(), z)
    }

    pub(crate) fn max_pool(&mut self, name: &str, x: &Tensor, window: Window) -> Tensor {
        self.pool("MaxPool", name, x, window)
    }

    pub(crate) fn average_pool(&mut self, name: &str, x: &Tensor, window: Window) -> Tensor {
        self.pool("AveragePool", name, x, window)
    }

    fn pool(&mut self, op: &str, name: &str, x: &Tensor, window: Window) -> Tensor {
        let y = Tensor::new(name, windowed(x, x.channels(), window), x.sign);
        self.node(op, &[&x.name], window.attributes(), y)
    }

    pub(crate) fn global_average_pool(&mut self, name: &str, x: &Tensor) -> Tensor {
        let y = Tensor::new(name, vec![1, x.channels(), 1, 1], x.sign);
        self.node("GlobalAveragePool", &[&x.name], Vec::new(), y)
    }

    pub(crate) fn flatten(&mut self, name: &str, x: &Tensor) -> Tensor {
        let y = Tensor::new(name, vec![1, x.shape.iter().product()], x.sign);
        self.node("Flatten", &[&x.name], vec![int("axis", 1)], y)
    }

    /// The node that computes `output`, and `output`.
    pub(crate) fn node(
        &mut self,
        op: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
        output: Tensor,
    ) -> Tensor {
        self.graph.node.push(NodeProto {
            op_type: op.into(),
            name: output.name.clone(),
            input: inputs.iter().map(|&x| x.into()).collect(),
            output: vec![output.name.clone()],
            attribute,
            ..NodeProto::default()
        });
        output
    }

    /// The weights `[filters, channels, ..]` of a layer on `x`, as the head of this file says.
    fn filters(&mut self, name: &str, x: &Tensor, shape: &[usize]) -> String {
        let (centred, gain) = match (x.sign, shape[1]) {
            (Sign::Both, _) => (false, 1.0),
            (Sign::Plus, 1) => (false, 2.0),
            (Sign::Plus, _) => (true, 2.933_884),
        };
        let name = format!("{name}.weight");
        let mut random = self.random();
        let filter: usize = shape[1..].iter().product();
        let scale = (gain / filter as f32).sqrt() / DEVIATION;
        let mut data = Vec::with_capacity(4 * shape[0] * filter);
        let mut draws = vec![0; filter];
        for _ in 0..shape[0] {
            draws.fill_with(|| random.draw());
            let sum: i64 = draws.iter().map(|&z| i64::from(z)).sum();
            let mean = if centred {
                (sum / filter as i64) as i32
            } else {
                0
            };
            let cells = draws.iter().map(|&z| (z - mean) as f32 * scale);
            data.extend(cells.flat_map(f32::to_le_bytes));
        }
        self.initialise(&name, shape, data)
    }

    pub(crate) fn bias(&mut self, name: &str, cells: usize) -> String {
        self.around(&format!("{name}.bias"), cells, 0.0, 0.1)
    }

    /// A vector of uniform numbers.
    pub(crate) fn around(&mut self, name: &str, cells: usize, centre: f32, radius: f32) -> String {
        let mut random = self.random();
        let cells = (0..cells).map(|_| random.around(centre, radius));
        let data: Vec<u8> = cells.flat_map(f32::to_le_bytes).collect();
        self.initialise(name, &[data.len() / 4], data)
    }

    /// A tensor of normal numbers.
    pub(crate) fn normal(&mut self, name: &str, shape: &[usize], deviation: f32) -> String {
        let mut random = self.random();
        let count: usize = shape.iter().product();
        let cells = (0..count).map(|_| random.normal() * deviation);
        self.initialise(name, shape, cells.flat_map(f32::to_le_bytes).collect())
    }

    /// A number that several nodes may read.
    pub(crate) fn scalar(&mut self, name: &str, x: f32) -> String {
        self.constant(name, &[], &[x])
    }

    /// A constant of a name, made once.
    pub(crate) fn constant(&mut self, name: &str, shape: &[usize], cells: &[f32]) -> String {
        if self.graph.initializer.iter().any(|t| t.name == name) {
            return name.into();
        }
        let data = cells.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.initialise(name, shape, data)
    }

    /// The same of integers.
    pub(crate) fn integers(&mut self, name: &str, shape: &[usize], cells: &[i64]) -> String {
        if self.graph.initializer.iter().all(|t| t.name != name) {
            let data = cells.iter().flat_map(|x| x.to_le_bytes()).collect();
            let mut tensor = constant(name, shape, data);
            tensor.data_type = DataType::Int64 as i32;
            self.graph.initializer.push(tensor);
        }
        name.into()
    }

    /// The sizes of a matrix.
    pub(crate) fn sizes_of(&self, matrix: &str) -> [usize; 2] {
        let tensors = self.graph.initializer.iter();
        let mut found = tensors.filter(|t| t.name == matrix);
        let tensor = found.next().expect("a matrix");
        [0, 1].map(|axis| tensor.dims[axis] as usize)
    }

    /// Every tensor has a stream of its own: its values do not depend on other tensors' sizes.
    fn random(&self) -> Random {
        Random::new(&self.graph.name, self.graph.initializer.len() as u64)
    }

    fn initialise(&mut self, name: &str, shape: &[usize], data: Vec<u8>) -> String {
        let tensor = constant(name, shape, data);
        self.graph.initializer.push(tensor);
        name.into()
    }
}

fn windowed(x: &Tensor, channels: usize, window: Window) -> Vec<usize> {
    let [height, width] = [0, 1].map(|axis| window.output(axis, x.shape[2 + axis]));
    vec![1, channels, height, width]
}
