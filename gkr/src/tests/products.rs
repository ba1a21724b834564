//! Small models with products of activations and constants.

use super::build::{Builder, plan};
use crate::linear::analyse;
use crate::plan::WeightPlan;
use zkstrata_model_ir::int::{Contract, Model, TensorId};

/// `(name, model)` of every model with a product or a constant.
pub(super) fn models() -> Vec<(&'static str, Model)> {
    vec![
        ("products of cells", products()),
        ("attention", attention()),
        ("outer products", outer_products()),
        ("products with itself", squares()),
        ("dot products", dot_products()),
        ("constants", constants()),
    ]
}

/// Two committed tensors.
fn operands(b: &mut Builder, left: &[usize], right: &[usize]) -> [TensorId; 2] {
    [left, right].map(|axes| {
        let x = b.input(axes, -8, 7);
        b.table(x, 0, |x| Some((x * x) as i32 % 11 + 1), (0, 0))
    })
}

fn products() -> Model {
    let mut b = Builder::new(50);
    let [x, y] = operands(&mut b, &[3, 5], &[3, 5]);
    let p = b.contract("ab,ab->ab", x, y);
    let h = b.relu(p);
    // Broadcasts along either axis, permuted.
    let [row, column] = operands(&mut b, &[5], &[3]);
    let p = b.contract("ab,b->ba", h, row);
    let p = b.relu(p);
    let p = b.contract("a,ba->ba", column, p);
    b.output(p);
    b.finish()
}

fn attention() -> Model {
    let mut b = Builder::new(51);
    let [q, k] = operands(&mut b, &[3, 2, 5], &[3, 6, 5]);
    let scores = b.contract("htd,hsd->hts", q, k);
    let scores = b.relu(scores);
    let [v, _] = operands(&mut b, &[6, 3, 5], &[2]);
    let y = b.contract("hts,shd->thd", scores, v);
    let y = b.relu(y);
    let y = b.dense(y, &[2, 3, 5], &[3]);
    b.output(y);
    b.finish()
}

fn outer_products() -> Model {
    let mut b = Builder::new(52);
    let [x, y] = operands(&mut b, &[3], &[5]);
    let p = b.contract("a,b->ba", x, y);
    b.output(p);
    let h = b.relu(p);
    let [z, _] = operands(&mut b, &[2, 3], &[2]);
    // A virtual operand.
    let p = b.contract("dc,ba->adcb", z, p);
    let q = b.contract("ba,b->ab", h, y);
    b.output(q);
    b.output(p);
    // Axes of one cell.
    let op = Contract {
        lengths: vec![1, 3, 5, 1],
        left: vec![0, 1, 3],
        right: vec![2, 0, 3],
        output: vec![1, 3, 2],
    };
    let p = b.contract_labels(op, x, y);
    b.output(p);
    b.finish()
}

fn squares() -> Model {
    let mut b = Builder::new(53);
    let [x, y] = operands(&mut b, &[3, 5], &[3, 3]);
    let x = b.sum(&[(1, x), (-2, x)]);
    let sums = b.contract("ab,ab->a", x, x);
    b.output(sums);
    let cells = b.contract("ab,ab->ba", x, x);
    let cells = b.relu(cells);
    let pairs = b.contract("ab,ac->bc", cells, cells);
    b.output(pairs);
    // The matrix times itself.
    let power = b.contract("ab,bc->ac", y, y);
    let power = b.contract("ab,bc->ca", power, y);
    b.output(power);
    // The matrix times its transpose, cell by cell.
    let p = b.contract("ab,ba->ab", y, y);
    b.output(p);
    b.finish()
}

fn dot_products() -> Model {
    let mut b = Builder::new(54);
    let [x, y] = operands(&mut b, &[5], &[5]);
    let p = b.contract("a,a->", x, y);
    b.output(p);
    let h = b.relu(p);
    let p = b.contract(",->", h, h);
    b.output(p);
    // No axis needs a cut.
    let [x, y] = operands(&mut b, &[4, 2], &[2, 4]);
    let p = b.contract("ab,ba->", x, y);
    let p = b.contract(",ab->ba", p, x);
    b.output(p);
    b.finish()
}

fn constants() -> Model {
    let mut b = Builder::new(55);
    let [x, y] = operands(&mut b, &[3, 5], &[5]);
    let c = b.constant(&[3, 5]);
    let s = b.sum(&[(1, x), (2, c)]);
    let h = b.plain_relu(s);
    // Two claims on one constant, at two points.
    let p = b.contract("ab,ab->b", h, c);
    let p = b.sum(&[(1, p), (-1, y)]);
    b.output(p);
    let d = b.constant(&[7, 3]);
    let p = b.contract("ca,ab->bc", d, h);
    let q = b.contract("ca,ab->bc", d, c);
    let p = b.sum(&[(1, p), (3, q)]);
    let p = b.relu(p);
    let p = b.dense(p, &[5, 7], &[2]);
    b.output(p);
    b.output(c);
    b.finish()
}

#[test]
fn claims_on_constants_count_as_public_work() {
    let model = constants();
    let plan = plan(&model, 1);
    let analysis = analyse(&plan, &WeightPlan::new(&model.graph)).expect("walks");
    // Four claims on `c`, two on `d`, and the dense layer's weights and bias.
    assert_eq!(analysis.weight_cells, 4 * 15 + 2 * 21 + 70 + 2);
}
