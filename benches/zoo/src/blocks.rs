//! What transformers are made of.

use crate::message::{float, int, ints};
use crate::net::{Net, Tensor};

/// What is added to the scores that a mask excludes, as exporters write it.
const EXCLUDED: f32 = -3.402_823_5e38;

/// `eps` of normalisations.
const EPSILON: f32 = 1e-5;

/// Base of the angles by which pairs of features are turned (`RoFormer`, section 3.2.2).
const ANGLES: f32 = 10_000.0;

impl Net {
    /// A node whose output has another shape than its first input.
    fn to(&mut self, op: &str, name: &str, inputs: &[&str], shape: &[usize]) -> Tensor {
        self.node(op, inputs, vec![], Tensor::of(name, shape))
    }

    /// The rows of a matrix of `rows` by `width` that token ids name.
    pub(crate) fn embedding(
        &mut self,
        name: &str,
        ids: &Tensor,
        rows: usize,
        width: usize,
        deviation: f32,
    ) -> Tensor {
        self.normal(name, &[rows, width], deviation);
        let shape = [ids.shape(), &[width]].concat();
        self.to(
            "Gather",
            &format!("{name}.rows"),
            &[name, ids.name()],
            &shape,
        )
    }

    /// The first of the rows of a matrix, for tokens in order.
    pub(crate) fn rows(
        &mut self,
        name: &str,
        rows: usize,
        tokens: usize,
        width: usize,
        deviation: f32,
    ) -> Tensor {
        self.normal(name, &[rows, width], deviation);
        let part = |net: &mut Self, part: &str, n: usize| {
            net.integers(&format!("{name}.{part}"), &[1], &[n as i64])
        };
        let [start, end] = [part(self, "start", 0), part(self, "end", tokens)];
        let inputs = [name, &start, &end];
        let own = self.to("Slice", &format!("{name}.own"), &inputs, &[tokens, width]);
        self.reshape(&format!("{name}.batch"), &own, &[1, tokens, width])
    }

    /// A dense layer on the last axis.
    pub(crate) fn linear(
        &mut self,
        name: &str,
        x: &Tensor,
        to: usize,
        gain: f32,
        bias: bool,
    ) -> Tensor {
        let from = x.width();
        let weight = format!("{name}.weight");
        self.normal(&weight, &[from, to], gain / (from as f32).sqrt());
        let shape = x.with_width(to);
        if !bias {
            return self.to("MatMul", name, &[x.name(), &weight], &shape);
        }
        let product = format!("{name}.product");
        let y = self.to("MatMul", &product, &[x.name(), &weight], &shape);
        let bias = self.bias(name, to);
        self.plus(name, &y, &bias)
    }

    /// The products with all rows of an embedding.
    pub(crate) fn onto_rows(&mut self, name: &str, x: &Tensor, matrix: &str) -> Tensor {
        let [rows, width] = self.sizes_of(matrix);
        let columns = Tensor::of(&format!("{name}.columns"), &[width, rows]);
        let columns = self.node("Transpose", &[matrix], vec![ints("perm", &[1, 0])], columns);
        let shape = x.with_width(rows);
        self.to("MatMul", name, &[x.name(), columns.name()], &shape)
    }

    pub(crate) fn layer_norm(&mut self, name: &str, x: &Tensor) -> Tensor {
        let scale = self.around(&format!("{name}.weight"), x.width(), 1.0, 0.2);
        let bias = self.bias(name, x.width());
        let attributes = vec![float("epsilon", EPSILON)];
        let y = Tensor::of(name, x.shape());
        let inputs = [x.name(), &scale, &bias];
        self.node("LayerNormalization", &inputs, attributes, y)
    }

    /// `x / sqrt(mean(x^2) + eps)` times a vector.
    pub(crate) fn rms_norm(&mut self, name: &str, x: &Tensor) -> Tensor {
        let scale = self.around(&format!("{name}.weight"), x.width(), 1.0, 0.2);
        let two = self.scalar("two", 2.0);
        let eps = self.scalar("eps", EPSILON);
        let square = self.to(
            "Pow",
            &format!("{name}.square"),
            &[x.name(), &two],
            x.shape(),
        );
        let mean = Tensor::of(&format!("{name}.mean"), &x.with_width(1));
        let axes = vec![ints_of("axes", &[-1]), int("keepdims", 1)];
        let mean = self.node("ReduceMean", &[square.name()], axes, mean);
        let shape = mean.shape().to_vec();
        let sum = self.to("Add", &format!("{name}.sum"), &[mean.name(), &eps], &shape);
        let root = self.to("Sqrt", &format!("{name}.root"), &[sum.name()], &shape);
        let normed = format!("{name}.normed");
        let y = self.to("Div", &normed, &[x.name(), root.name()], x.shape());
        self.to("Mul", name, &[y.name(), &scale], x.shape())
    }

    /// `x (1 + erf(x / sqrt(2))) / 2`
    pub(crate) fn gelu(&mut self, name: &str, x: &Tensor) -> Tensor {
        let root = self.scalar("root_two", std::f32::consts::SQRT_2);
        let [one, half] = [self.scalar("one", 1.0), self.scalar("half", 0.5)];
        let shape = x.shape();
        let step = |part: &str| format!("{name}.{part}");
        let y = self.to("Div", &step("scaled"), &[x.name(), &root], shape);
        let y = self.to("Erf", &step("erf"), &[y.name()], shape);
        let y = self.to("Add", &step("shifted"), &[y.name(), &one], shape);
        let y = self.to("Mul", &step("gated"), &[x.name(), y.name()], shape);
        self.to("Mul", name, &[y.name(), &half], shape)
    }

    pub(crate) fn silu(&mut self, name: &str, x: &Tensor) -> Tensor {
        let y = self.to(
            "Sigmoid",
            &format!("{name}.sigmoid"),
            &[x.name()],
            x.shape(),
        );
        self.product(name, x, &y)
    }

    pub(crate) fn product(&mut self, name: &str, x: &Tensor, y: &Tensor) -> Tensor {
        self.to("Mul", name, &[x.name(), y.name()], x.shape())
    }

    /// A sum of tensors of the shape of the first.
    pub(crate) fn sum(&mut self, name: &str, x: &Tensor, y: &Tensor) -> Tensor {
        self.plus(name, x, y.name())
    }

    /// The same with a constant.
    pub(crate) fn plus(&mut self, name: &str, x: &Tensor, constant: &str) -> Tensor {
        self.to("Add", name, &[x.name(), constant], x.shape())
    }

    pub(crate) fn scaled(&mut self, name: &str, x: &Tensor, factor: f32) -> Tensor {
        let factor = self.scalar(&format!("{name}.factor"), factor);
        self.to("Mul", name, &[x.name(), &factor], x.shape())
    }

    pub(crate) fn softmax(&mut self, name: &str, x: &Tensor) -> Tensor {
        let y = Tensor::of(name, x.shape());
        self.node("Softmax", &[x.name()], vec![int_of("axis", -1)], y)
    }

    /// The product of the last two axes.
    pub(crate) fn matmul(&mut self, name: &str, x: &Tensor, y: &Tensor) -> Tensor {
        let shape = x.with_width(y.width());
        self.to("MatMul", name, &[x.name(), y.name()], &shape)
    }

    pub(crate) fn reshape(&mut self, name: &str, x: &Tensor, shape: &[usize]) -> Tensor {
        let list: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
        let wanted = self.integers(&format!("{name}.shape"), &[list.len()], &list);
        self.to("Reshape", name, &[x.name(), &wanted], shape)
    }

    pub(crate) fn transpose(&mut self, name: &str, x: &Tensor, perm: &[usize]) -> Tensor {
        let shape: Vec<usize> = perm.iter().map(|&axis| x.shape()[axis]).collect();
        let y = Tensor::of(name, &shape);
        self.node("Transpose", &[x.name()], vec![ints("perm", perm)], y)
    }

    /// A learned token before those of an image.
    pub(crate) fn behind_class(&mut self, name: &str, x: &Tensor) -> Tensor {
        let class = format!("{name}.class");
        self.normal(&class, &[1, 1, x.width()], 0.3);
        let y = Tensor::of(name, &[1, x.shape()[1] + 1, x.width()]);
        self.node("Concat", &[&class, x.name()], vec![int("axis", 1)], y)
    }

    /// The first token.
    pub(crate) fn first(&mut self, name: &str, x: &Tensor) -> Tensor {
        let zero = self.integers(&format!("{name}.index"), &[], &[0]);
        let y = Tensor::of(name, &[1, x.width()]);
        self.node("Gather", &[x.name(), &zero], vec![int("axis", 1)], y)
    }

    /// A mask of the tokens behind each one, for scores of `tokens` by `tokens`.
    pub(crate) fn causal(&mut self, name: &str, tokens: usize) -> String {
        let cell = |k: usize| {
            if k % tokens > k / tokens {
                EXCLUDED
            } else {
                0.0
            }
        };
        let cells: Vec<f32> = (0..tokens * tokens).map(cell).collect();
        self.constant(name, &[1, 1, tokens, tokens], &cells)
    }

    /// The cosines and the sines by which features are turned, for heads of `size` features.
    pub(crate) fn rotation(&mut self, name: &str, tokens: usize, size: usize) -> [String; 2] {
        let half = size / 2;
        let angle = |k: usize| {
            let (token, feature) = (k / size, k % size % half);
            token as f32 / libm::powf(ANGLES, feature as f32 / half as f32)
        };
        [("cos", libm::cosf as fn(f32) -> f32), ("sin", libm::sinf)].map(|(part, f)| {
            let cells: Vec<f32> = (0..tokens * size).map(|k| f(angle(k))).collect();
            self.constant(&format!("{name}.{part}"), &[1, 1, tokens, size], &cells)
        })
    }

    /// `x cos + [-x_2, x_1] sin`, where `x_1` and `x_2` are the halves of the features.
    pub(crate) fn turned(&mut self, name: &str, x: &Tensor, [cos, sin]: &[String; 2]) -> Tensor {
        let (shape, size) = (x.shape(), x.width());
        let step = |part: &str| format!("{name}.{part}");
        let axis = self.integers("last_axis", &[1], &[-1]);
        let half = |net: &mut Self, part: &str, from: usize| {
            let mut place = |which: &str, n: usize| {
                net.integers(&format!("{name}.{part}.{which}"), &[1], &[n as i64])
            };
            let ends = [place("start", from), place("end", from + size / 2)];
            let inputs = [x.name(), &ends[0], &ends[1], &axis];
            net.to("Slice", &step(part), &inputs, &x.with_width(size / 2))
        };
        let (low, high) = (half(self, "low", 0), half(self, "high", size / 2));
        let high = self.to("Neg", &step("negated"), &[high.name()], high.shape());
        let pair = Tensor::of(&step("swapped"), shape);
        let inputs = [high.name(), low.name()];
        let pair = self.node("Concat", &inputs, vec![int_of("axis", -1)], pair);
        let a = self.to("Mul", &step("by_cos"), &[x.name(), cos], shape);
        let b = self.to("Mul", &step("by_sin"), &[pair.name(), sin], shape);
        self.sum(name, &a, &b)
    }

    /// Every head `copies` times, one after another.
    pub(crate) fn repeated(&mut self, name: &str, x: &Tensor, copies: usize) -> Tensor {
        let [_, heads, tokens, size] = *x.shape() else {
            panic!("heads have four axes")
        };
        let apart = self.reshape(&format!("{name}.apart"), x, &[1, heads, 1, tokens, size]);
        let wide = [1, heads, copies, tokens, size];
        let list = wide.map(|n| n as i64);
        let shape = self.integers(&format!("{name}.wide"), &[5], &list);
        let y = self.to(
            "Expand",
            &format!("{name}.copies"),
            &[apart.name(), &shape],
            &wide,
        );
        self.reshape(name, &y, &[1, heads * copies, tokens, size])
    }
}

fn int_of(name: &str, n: i64) -> zkstrata_onnx_import::proto::AttributeProto {
    let mut attribute = int(name, 0);
    attribute.i = n;
    attribute
}

fn ints_of(name: &str, list: &[i64]) -> zkstrata_onnx_import::proto::AttributeProto {
    let mut attribute = ints(name, &[]);
    attribute.ints = list.to_vec();
    attribute
}
