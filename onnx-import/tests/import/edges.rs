//! The edges of what operators take: nothing at all, other kinds of elements, older forms, and
//! outputs that nobody reads.

use candle_onnx::onnx::tensor_proto::DataType;

use crate::build::{int, ints, number, string};
use crate::case::{Case, Cells, cells, combined, fill, scalar, spread, vector};

/// A tensor without cells.
fn nothing(shape: &[usize]) -> Cells {
    Cells::zeros(shape)
}

/// What is only moved may be empty; nothing is computed with it.
#[test]
fn tensors_without_cells() {
    let none = nothing(&[0, 3]);
    let x = spread(&[2, 3]);
    let case = |op: &str| Case::new(op, 13).w(&none);
    Case::new("Concat", 13)
        .x(&x)
        .w(&none)
        .with(int("axis", 0))
        .is(&x);
    case("Concat").x(&x).w(&none).with(int("axis", 0)).is(&x);
    case("Shape").is(&vector(&[0.0, 3.0]));
    case("Size").is(&scalar(0.0));
    // The list of the axes of a scalar is empty, and so is a range that ends where it begins.
    let listed = |op: &str| Case::new(op, 18).x(&x);
    listed("ReduceSum")
        .list(&[])
        .with(int("noop_with_empty_axes", 1))
        .is(&x);
    Case::new("ConstantOfShape", 9).list(&[]).is(&scalar(0.0));
    Case::new("Reshape", 13)
        .x(&vector(&[2.0]))
        .list(&[])
        .is(&scalar(2.0));
    for op in [
        "ReduceSum",
        "ReduceProd",
        "ReduceMax",
        "ReduceMean",
        "ReduceL2",
    ] {
        let case = Case::new(op, 18).w(&none).list(&[0]);
        case.refused("Shape", "nonempty shapes");
    }
    let product = Case::new("MatMul", 13)
        .w(&nothing(&[2, 0]))
        .w(&nothing(&[0, 3]));
    product.refused("Shape", "nonempty shapes");
}

/// The mask of a Dropout that drops nothing is true everywhere.
#[test]
fn dropouts() {
    let x = spread(&[2, 3]);
    let ones = fill(&[2, 3], |_| 1.0);
    for opset in [7, 10, 12, 13, 22] {
        let case = Case::new("Dropout", opset).x(&x).outputs(2);
        let case = match opset {
            7 | 10 => case.with(number("ratio", 0.75)),
            _ => case.w(&scalar(0.75)).constant(DataType::Bool, &scalar(0.0)),
        };
        case.gives(&[x.clone(), ones.clone()]);
    }
    let training = Case::new("Dropout", 13).x(&x).w(&scalar(0.5));
    training
        .constant(DataType::Bool, &scalar(1.0))
        .refused("UnsupportedOperator", "");
    let none = Case::new("Dropout", 13).x(&x).none().none();
    none.is(&x);
}

/// The exponent's kind may be another than the base's, which is the result's.
#[test]
fn powers_of_mixed_kinds() {
    let x = vector(&[0.5, 1.0, 2.0, 3.0]);
    let case = || Case::new("Pow", 13).x(&x);
    let y = x.mapv(|x| x.powi(3));
    case().constant(DataType::Int64, &scalar(3.0)).is(&y);
    case().constant(DataType::Int32, &vector(&[3.0])).is(&y);
    let whole = vector(&[1.0, -2.0, 0.0, 3.0]);
    let moving = case().input(DataType::Int64, &whole).within(1e-4);
    moving.is(&combined(&x, &whole, f64::powf));
    let square = Case::new("Pow", 13)
        .of(DataType::Int32, &whole)
        .w(&scalar(2.0));
    square.within(0.0).is(&whole.mapv(|x| x * x));
}

/// Truth values where operators take any kind.
#[test]
fn moved_truth_values() {
    let bits = |shape: &[usize]| spread(shape).mapv(|x| f64::from(x > 0.0));
    let x = bits(&[2, 3]);
    let case = |op: &str, opset| Case::new(op, opset).of(DataType::Bool, &x);
    case("Transpose", 13).is(&x.t().as_standard_layout().to_owned());
    case("Reshape", 13)
        .list(&[3, 2])
        .is(&x.to_shape(vec![3, 2]).expect("as many cells").to_owned());
    case("Concat", 13)
        .of(DataType::Bool, &x)
        .with(int("axis", 0))
        .is(&fill(&[4, 3], |at| x[[at[0] % 2, at[1]]]));
    case("Gather", 13)
        .list(&[1])
        .is(&fill(&[1, 3], |at| x[[1, at[1]]]));
    case("Expand", 13)
        .list(&[2, 2, 3])
        .is(&fill(&[2, 2, 3], |at| x[[at[1], at[2]]]));
    case("Tile", 13)
        .list(&[1, 2])
        .is(&fill(&[2, 6], |at| x[[at[0], at[1] % 3]]));
    case("Slice", 13)
        .list(&[1])
        .list(&[3])
        .list(&[1])
        .is(&fill(&[2, 2], |at| x[[at[0], at[1] + 1]]));
    case("Identity", 13).is(&x);
    case("Squeeze", 13).is(&x);
    let y = bits(&[3]).mapv(|y| 1.0 - y);
    let chosen = case("Where", 16)
        .of(DataType::Bool, &x)
        .of(DataType::Bool, &y);
    chosen.is(&fill(
        &[2, 3],
        |at| if x[at] == 1.0 { x[at] } else { y[at[1]] },
    ));
    for (op, join) in [
        ("ReduceMax", f64::max as fn(f64, f64) -> f64),
        ("ReduceMin", f64::min),
    ] {
        let y = fill(&[2, 1], |at| {
            (1..3).fold(x[[at[0], 0]], |y, j| join(y, x[[at[0], j]]))
        });
        case(op, 20).list(&[1]).is(&y);
    }
    let rows = Case::new("Compress", 11)
        .of(DataType::Bool, &x)
        .constant(DataType::Bool, &vector(&[0.0, 1.0]));
    rows.with(int("axis", 0))
        .is(&fill(&[1, 3], |at| x[[1, at[1]]]));
}

/// Letters in any case and order, spaces, and results that are not given: those letters that occur
/// once, in the order of the alphabet.
#[test]
fn forms_of_equations() {
    let (a, b) = (spread(&[2, 3]), spread(&[3, 2]).mapv(|x| x + 1.0));
    let case = |equation: &str| {
        Case::new("Einsum", 12)
            .x(&a)
            .x(&b)
            .with(string("equation", equation))
    };
    let product = fill(&[2, 2], |at| {
        (0..3).map(|k| a[[at[0], k]] * b[[k, at[1]]]).sum()
    });
    let turned = fill(&[2, 2], |at| product[[at[1], at[0]]]);
    for equation in [
        "ij,jk->ik",
        "ij,jk",
        " i j , j k -> i k ",
        "Ax,xB->AB",
        "AB,BC",
    ] {
        case(equation).is(&product);
    }
    for equation in ["kj,ji", "ij,jk->ki", "zx,xa"] {
        case(equation).is(&turned);
    }
    // Capitals come first.
    case("aj,jZ").is(&turned);
    for (equation, expected) in [
        ("ij,jk,kl", "terms"),
        ("ij", "terms"),
        ("ij,kk", ""),
        ("ij,jk->i1", ""),
        ("ijk,jk", "axes"),
    ] {
        case(equation).refused("", expected);
    }
}

/// Attributes that an operator got with a later operator set are unknown before.
#[test]
fn attributes_of_later_sets() {
    let x = spread(&[1, 2, 4, 4]);
    let case = |op: &str, opset| Case::new(op, opset).x(&x);
    let origin = || cells(&[1, 1], &[0.0]);
    let scatter = case("ScatterND", 13)
        .constant(DataType::Int64, &origin())
        .x(&spread(&[1, 2, 4, 4]));
    let cases = [
        (
            case("ArgMax", 11).with(int("select_last_index", 1)),
            "select_last_index",
        ),
        (
            case("TopK", 10)
                .list(&[1])
                .outputs(2)
                .with(int("largest", 0)),
            "largest",
        ),
        (
            case("BatchNormalization", 13).with(int("training_mode", 0)),
            "",
        ),
        (
            case("Reshape", 13).list(&[-1]).with(int("allowzero", 1)),
            "allowzero",
        ),
        (
            case("ReduceMax", 17).with(int("noop_with_empty_axes", 1)),
            "noop_with_empty_axes",
        ),
        (case("ReduceSum", 13).with(ints("axes", &[0])), "axes"),
        (case("Squeeze", 13).with(ints("axes", &[0])), "axes"),
        (case("Split", 13).with(ints("split", &[1])), "split"),
        (
            case("Pad", 11).list(&[0; 8]).with(ints("pads", &[0; 8])),
            "pads",
        ),
        (case("Clip", 11).with(number("min", 0.0)), "min"),
        (
            case("Resize", 13)
                .none()
                .none()
                .list(&[1, 2, 8, 8])
                .with(int("antialias", 1)),
            "antialias",
        ),
        (
            case("GatherND", 11)
                .constant(DataType::Int64, &origin())
                .with(int("batch_dims", 0)),
            "batch_dims",
        ),
        (
            case("DepthToSpace", 7)
                .with(int("blocksize", 1))
                .with(string("mode", "CRD")),
            "mode",
        ),
        (case("Shape", 14).with(int("end", 1)), "end"),
        (scatter.with(string("reduction", "add")), "reduction"),
    ];
    let taken = cases.iter().filter(|(case, attribute)| {
        let error = case.refusal().map(|error| error.to_string());
        !error.is_some_and(|text| text.contains(attribute))
    });
    let taken: Vec<String> = taken.map(|(case, _)| case.describe()).collect();
    assert!(taken.is_empty(), "{taken:#?}");
}
