//! Arrays of a case become samples of the imported model.

use crate::files::Given;
use crate::npy::Kind;
use ndarray::{ArrayD, Axis, IxDyn};
use zkstrata_model_ir::float::Graph;

/// One array per model input.
pub(crate) type Sample = Vec<ArrayD<f32>>;

/// What an array is for an input.
enum Fit {
    /// The input, the same in every sample.
    Whole(ArrayD<f32>),
    /// One array per sample: the import fixed the first axis to 1 and the array has it longer.
    Stacked(Vec<ArrayD<f32>>),
}

/// The samples that the arrays of a case are. `names[k]` is the model input that `given[k]` is for.
pub(crate) fn samples(
    graph: &Graph,
    names: &[String],
    given: &[Option<Given>],
) -> Result<Vec<Sample>, String> {
    let fits = graph.inputs().map(|value| {
        let node = &graph.nodes()[value.0];
        let index = names.iter().position(|name| *name == node.name);
        match index.and_then(|k| given.get(k)) {
            Some(Some(given)) => fit(&node.name, given, &node.shape),
            _ => Err(format!("there is no array for input `{}`", node.name)),
        }
    });
    let fits: Vec<Fit> = fits.collect::<Result<_, _>>()?;
    let lengths = || {
        fits.iter().filter_map(|fit| match fit {
            Fit::Whole(_) => None,
            Fit::Stacked(arrays) => Some(arrays.len()),
        })
    };
    let count = lengths().next().unwrap_or(1);
    if lengths().any(|length| length != count) {
        return Err("the arrays have first axes of several lengths".into());
    }
    let sample = |i: usize| {
        let arrays = fits.iter().map(|fit| match fit {
            Fit::Whole(array) => array.clone(),
            Fit::Stacked(arrays) => arrays[i].clone(),
        });
        arrays.collect()
    };
    Ok((0..count).map(sample).collect())
}

fn fit(name: &str, given: &Given, shape: &[usize]) -> Result<Fit, String> {
    let cells = &given.cells;
    if given.kind == Kind::Integer
        && let Some(x) = cells
            .iter()
            .find(|&&x| f64::from(x as f32).total_cmp(&x).is_ne())
    {
        return Err(format!(
            "input `{name}` has a cell {x}, which is no number in single precision"
        ));
    }
    // Single precision has 0 for what is smaller than its normal numbers.
    let lost = |&&x: &&f64| x != 0.0 && x.abs() < f64::from(f32::MIN_POSITIVE);
    if let Some(x) = cells.iter().find(lost) {
        return Err(format!(
            "input `{name}` has a cell {x:e}, which is too small for single precision"
        ));
    }
    let count: usize = shape.iter().product();
    let shaped = |x: ndarray::ArrayViewD<'_, f64>| {
        ArrayD::from_shape_vec(IxDyn(shape), x.iter().map(|&x| x as f32).collect())
            .expect("the number of cells was compared")
    };
    let flat = cells.ndim() == 1;
    if cells.shape() == shape || (flat && cells.len() == count) {
        return Ok(Fit::Whole(shaped(cells.view())));
    }
    let rest = cells.shape().get(1..).unwrap_or_default();
    let stacked = match shape {
        [1, inner @ ..] if rest == inner => Some(cells.shape()[0]),
        [1, ..] if flat && count > 0 && cells.len().is_multiple_of(count) => {
            Some(cells.len() / count)
        }
        _ => None,
    };
    match stacked {
        Some(samples @ 1..) => {
            let stacked = cells.to_shape((samples, count));
            let stacked = stacked.map_err(|error| format!("input `{name}`: {error}"))?;
            let arrays = stacked.axis_iter(Axis(0)).map(|x| shaped(x.into_dyn()));
            Ok(Fit::Stacked(arrays.collect()))
        }
        _ => Err(format!(
            "the array of input `{name}` has shape {:?}, the imported model takes {shape:?}",
            cells.shape()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zkstrata_model_ir::float::GraphBuilder;

    fn graph(shapes: &[&[usize]]) -> Graph {
        let mut builder = GraphBuilder::new();
        let add = |(k, shape): (usize, &&[usize])| {
            let name = k.to_string();
            let value = builder.input(&name, shape).expect("an input");
            (name, value)
        };
        let outputs = shapes.iter().enumerate().map(add).collect();
        builder.finish(outputs).expect("a graph")
    }

    fn given(kind: Kind, shape: &[usize], cell: f64) -> Given {
        let cells = ArrayD::from_elem(IxDyn(shape), cell);
        Given { kind, cells }
    }

    fn count(shapes: &[&[usize]], arrays: &[&[usize]]) -> Result<usize, String> {
        let names = (0..shapes.len()).map(|k| k.to_string());
        let given = arrays
            .iter()
            .map(|shape| Some(given(Kind::Float, shape, 0.5)));
        let names: Vec<String> = names.collect();
        let samples = samples(&graph(shapes), &names, &given.collect::<Vec<_>>())?;
        for sample in &samples {
            assert!(sample.iter().map(ArrayD::shape).eq(shapes.iter().copied()));
        }
        Ok(samples.len())
    }

    #[test]
    fn a_longer_first_axis_is_a_batch() {
        assert_eq!(count(&[&[1, 4]], &[&[1, 4]]), Ok(1));
        assert_eq!(count(&[&[1, 4]], &[&[3, 4]]), Ok(3));
        assert_eq!(count(&[&[1, 4]], &[&[4]]), Ok(1));
        assert_eq!(count(&[&[1, 4]], &[&[12]]), Ok(3));
        assert_eq!(count(&[&[1, 4], &[2, 2]], &[&[3, 4], &[2, 2]]), Ok(3));
        assert_eq!(count(&[&[]], &[&[]]), Ok(1));
        for (shapes, arrays) in [
            (&[&[1_usize, 4][..]][..], &[&[4_usize, 1][..]][..]),
            (&[&[2, 4]], &[&[16]]),
            (&[&[1, 4]], &[&[0, 4]]),
            (&[&[1, 4]], &[&[6]]),
            (&[&[1, 4], &[1, 2]], &[&[3, 4], &[2, 2]]),
            (&[&[1, 4], &[1, 2]], &[&[1, 4]]),
        ] {
            assert!(count(shapes, arrays).is_err(), "{shapes:?} {arrays:?}");
        }
    }

    #[test]
    fn integers_are_exact_or_refused() {
        let of = |kind, cell| {
            samples(
                &graph(&[&[1]]),
                &["0".into()],
                &[Some(given(kind, &[1], cell))],
            )
        };
        assert!(of(Kind::Integer, 16_777_216.0).is_ok());
        assert!(of(Kind::Integer, 16_777_217.0).is_err());
        assert!(of(Kind::Float, 16_777_217.0).is_ok());
        assert!(of(Kind::Float, -0.0).is_ok());
        assert!(of(Kind::Float, 1e-40).is_err());
    }
}
