//! Files of arrays become batches of model inputs.
//!
//! Formats: `.npz`, `.npy`, and JSON: either EZKL's `{"input_data": [[..], ..]}` or
//! `{"name": nested lists, ..}`. The array of input `n` is called `in_n`, `n` or, for models of one
//! input, `x`; an array alone in its file needs no name. An array of the model's shape is one
//! sample; with one more leading axis it is a batch. Axes of length 1 do not matter, and a sample
//! may be a flat list.

mod json;
mod npz;

use crate::failure::Failure;
use crate::files;
use ndarray::{ArrayD, Axis, IxDyn};
use std::path::Path;
use zkstrata::model_ir::float;
use zkstrata::model_ir::int;
use zkstrata::ndarray;

/// One array per model input.
pub(crate) type Sample = Vec<ArrayD<f32>>;

/// Name and shape of a model input or output.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
}

/// Whether ports are inputs (`in_n`) or outputs (`out_n`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Input,
    Output,
}

/// The arrays of a file.
#[derive(Debug)]
pub(crate) enum Arrays {
    /// By name.
    Named(Vec<(String, ArrayD<f32>)>),
    /// One per port, in order.
    Listed(Vec<ArrayD<f32>>),
}

impl Port {
    /// The inputs of a float graph.
    pub(crate) fn inputs(graph: &float::Graph) -> Vec<Self> {
        let node = |v: float::ValueId| &graph.nodes()[v.0];
        let inputs = graph.inputs().map(node);
        inputs
            .map(|node| Self {
                name: node.name.clone(),
                shape: node.shape.clone(),
            })
            .collect()
    }

    /// The outputs of a float graph.
    pub(crate) fn outputs(graph: &float::Graph) -> Vec<Self> {
        let outputs = graph.outputs().iter();
        outputs
            .map(|(name, v)| Self {
                name: name.clone(),
                shape: graph.nodes()[v.0].shape.clone(),
            })
            .collect()
    }

    /// The ports of an integer graph.
    pub(crate) fn of(ports: &[int::Port]) -> Vec<Self> {
        let port = |port: &int::Port| Self {
            name: port.name.clone(),
            shape: port.shape.clone(),
        };
        ports.iter().map(port).collect()
    }
}

/// Reads the samples of a file; with `first`, only that many of them.
pub(crate) fn samples(
    path: &Path,
    ports: &[Port],
    side: Side,
    first: Option<usize>,
) -> Result<Vec<Sample>, Failure> {
    let fault = |message: String| {
        let file = path.display();
        Failure::new(format!("{file}: {message}"))
    };
    let bytes = files::read(path, files::LIMIT)?;
    let arrays = match bytes.as_slice() {
        [b'P', b'K', ..] => npz::archive(bytes),
        [0x93, b'N', ..] => npz::array(&bytes).map(|x| Arrays::Listed(vec![x])),
        _ => json::arrays(&bytes, side),
    };
    let stacks = arrays.and_then(|arrays| assign(arrays, ports, side));
    let mut stacks = stacks.map_err(fault)?.into_iter();
    let Some(mut samples) = stacks.next().map(|stack| {
        let sample = |x| vec![x];
        stack.into_iter().map(sample).collect::<Vec<Sample>>()
    }) else {
        return Err(fault("the model has no inputs".into()));
    };
    for (port, stack) in ports.iter().skip(1).zip(stacks) {
        if stack.len() != samples.len() {
            let (name, others) = (&ports[0].name, samples.len());
            return Err(fault(format!(
                "`{}` has {} samples, `{name}` has {others}",
                port.name,
                stack.len()
            )));
        }
        for (sample, x) in samples.iter_mut().zip(stack) {
            sample.push(x);
        }
    }
    match first {
        Some(n) if n > samples.len() => Err(fault(format!(
            "{n} samples are asked for, the file has {}",
            samples.len()
        ))),
        Some(n) => {
            samples.truncate(n);
            Ok(samples)
        }
        None => Ok(samples),
    }
}

/// The samples of every port.
fn assign(arrays: Arrays, ports: &[Port], side: Side) -> Result<Vec<Vec<ArrayD<f32>>>, String> {
    let arrays = match arrays {
        Arrays::Named(named) => select(named, ports, side)?,
        Arrays::Listed(listed) if listed.len() == ports.len() => listed,
        // A model of one input: every list is a sample.
        Arrays::Listed(listed) => {
            let (found, expected) = (listed.len(), ports.len());
            let [port] = ports else {
                return Err(format!(
                    "it has {found} arrays, the model {expected} inputs"
                ));
            };
            let samples = listed.iter().map(|x| stack(x, port));
            return Ok(vec![samples.collect::<Result<Vec<_>, _>>()?.concat()]);
        }
    };
    let pairs = arrays.iter().zip(ports);
    pairs.map(|(x, port)| stack(x, port)).collect()
}

/// The array of every port.
fn select(
    mut named: Vec<(String, ArrayD<f32>)>,
    ports: &[Port],
    side: Side,
) -> Result<Vec<ArrayD<f32>>, String> {
    let alone = named.len() == 1 && ports.len() == 1;
    let prefix = match side {
        Side::Input => "in_",
        Side::Output => "out_",
    };
    let mut select = |port: &Port| {
        let mut names = vec![format!("{prefix}{}", port.name), port.name.clone()];
        if side == Side::Input && ports.len() == 1 {
            names.push("x".into());
        }
        let find = |name: &String| named.iter().position(|(other, _)| other == name);
        let index = names.iter().find_map(find).or(alone.then_some(0));
        if let Some(index) = index {
            return Ok(named.swap_remove(index).1);
        }
        let found: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
        let (found, names) = (found.join("`, `"), names.join("` or `"));
        Err(format!("it has no array `{names}`; it has `{found}`"))
    };
    ports.iter().map(&mut select).collect()
}

/// The samples of one array.
fn stack(x: &ArrayD<f32>, port: &Port) -> Result<Vec<ArrayD<f32>>, String> {
    let cells: usize = port.shape.iter().product();
    let is_sample = |shape: &[usize]| {
        shape.iter().product::<usize>() == cells
            && (shape.len() <= 1 || squeezed(shape) == squeezed(&port.shape))
    };
    let shaped = |x: ndarray::ArrayViewD<'_, f32>| {
        ArrayD::from_shape_vec(IxDyn(&port.shape), x.iter().copied().collect())
            .expect("the number of cells was compared")
    };
    if is_sample(x.shape()) {
        return Ok(vec![shaped(x.view())]);
    }
    match x.shape() {
        [0, ..] => Err(format!("the array of `{}` is empty", port.name)),
        [_, rest @ ..] if is_sample(rest) => Ok(x.axis_iter(Axis(0)).map(shaped).collect()),
        _ => Err(format!(
            "the array of `{}` has shape {:?}, expected {:?} or [samples, {}]",
            port.name,
            x.shape(),
            port.shape,
            inner(&port.shape)
        )),
    }
}

fn squeezed(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|&n| n != 1).collect()
}

/// A shape without the brackets and a leading axis of 1.
fn inner(shape: &[usize]) -> String {
    let shape = shape.strip_prefix(&[1]).unwrap_or(shape);
    let shape: Vec<String> = shape.iter().map(ToString::to_string).collect();
    shape.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(shape: &[usize]) -> Port {
        Port {
            name: "a".into(),
            shape: shape.to_vec(),
        }
    }

    fn count(array: &[usize], shape: &[usize]) -> Option<usize> {
        let samples = stack(&ArrayD::zeros(array), &port(shape)).ok()?;
        assert!(samples.iter().all(|x| x.shape() == shape));
        Some(samples.len())
    }

    #[test]
    fn a_leading_axis_is_a_batch() {
        assert_eq!(count(&[1, 8, 8], &[1, 8, 8]), Some(1));
        assert_eq!(count(&[8, 8], &[1, 1, 8, 8]), Some(1));
        assert_eq!(count(&[64], &[1, 1, 8, 8]), Some(1));
        assert_eq!(count(&[5, 1, 8, 8], &[1, 1, 8, 8]), Some(5));
        assert_eq!(count(&[5, 64], &[1, 1, 8, 8]), Some(5));
        assert_eq!(count(&[10, 10], &[10]), Some(10));
        assert_eq!(count(&[3], &[1]), Some(3));
        assert_eq!(count(&[], &[1]), Some(1));
        // Channels last is not channels first.
        assert_eq!(count(&[8, 8, 3], &[3, 8, 8]), None);
        assert_eq!(count(&[128], &[64]), None);
        assert_eq!(count(&[0, 64], &[64]), None);
    }

    #[test]
    fn arrays_go_to_the_ports_of_their_name() {
        let array = |n: usize| ArrayD::from_elem(vec![2], n as f32);
        let named = |names: &[&str]| {
            let pairs = names.iter().enumerate();
            Arrays::Named(pairs.map(|(i, n)| ((*n).into(), array(i))).collect())
        };
        let one = [port(&[2])];
        let first = |arrays| {
            let stacks = assign(arrays, &one, Side::Input).ok()?;
            stacks[0].first().map(|x| x[0])
        };
        assert_eq!(first(named(&["out_a", "a", "in_a"])), Some(2.0));
        assert_eq!(first(named(&["y", "x"])), Some(1.0));
        assert_eq!(first(named(&["anything"])), Some(0.0));
        assert_eq!(first(named(&["y", "z"])), None);
        assert_eq!(first(Arrays::Listed(vec![array(7), array(8)])), Some(7.0));
        let two = [port(&[2]), port(&[2])];
        let three = Arrays::Listed(vec![array(0), array(1), array(2)]);
        assert!(assign(three, &two, Side::Input).is_err());
    }
}
