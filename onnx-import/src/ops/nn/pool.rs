//! Pools by maximum, mean and norm, windowed and global.

use std::collections::BTreeSet;
use zkstrata_model_ir::float::{Activation, AxisMap, AxisMatrix, Op, PoolKind, ValueId, Window};

use crate::Error;
use crate::ops::nn::places;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::{Element, Value};
use crate::write::Writer;
use crate::write::formula::Formula;
use crate::write::masked::{self, Operand};
use crate::write::window::{self, Placed, Rounding};

/// The input and its spatial shape.
fn input(node: &mut Node, writer: &mut Writer) -> Result<(ValueId, Vec<usize>), Error> {
    node.at_most(1)?;
    let x = node.value(0)?;
    let x = writer.lift(node, x)?;
    match writer.shape(x) {
        [_, _, spatial @ ..] if !spatial.is_empty() => Ok((x, spatial.to_vec())),
        shape => Err(node.shape_error(format!(
            "{} needs an input of rank 3 at least, got {shape:?}",
            node.op()
        ))),
    }
}

/// The windows of a pool.
fn windows(node: &Node, spatial: &[usize]) -> Result<Vec<Placed>, Error> {
    let Some(kernel) = window::kernel_shape(node)? else {
        return Err(node.bad_attribute("kernel_shape", "is missing"));
    };
    let rounding = match node.flag("ceil_mode")? {
        Some(true) => Rounding::Ceil,
        _ => Rounding::Floor,
    };
    let placed = window::windows(node, spatial, &kernel, rounding)?;
    // The standard and onnxruntime count the outputs of these two differently.
    let same = node
        .string("auto_pad")?
        .is_some_and(|pad| pad.starts_with("SAME"));
    if same && placed.iter().any(|p| p.window.dilation > 1) {
        return Err(node.unsupported("auto_pad SAME with dilations is ambiguous: give the pads"));
    }
    let valid = node.string("auto_pad")? == Some("VALID");
    if valid && placed.iter().any(|p| p.ceil_extra > 0) {
        return Err(node.unsupported("auto_pad VALID with ceil_mode is ambiguous: give the pads"));
    }
    Ok(placed)
}

fn pool(
    node: &Node,
    writer: &mut Writer,
    x: ValueId,
    kind: PoolKind,
    windows: Vec<Window>,
) -> Result<Vec<Value>, Error> {
    let y = writer.add(node, Op::Pool { kind, windows }, &[x])?;
    one(Value::Activation(y))
}

/// Most taps of an axis that are compared at once.
const TAPS: usize = 64;

/// The maximum over the taps inside the input. Cells around it that are masked count as padding.
pub(crate) fn max(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let (mut x, spatial) = input(node, writer)?;
    let columns = node.flag("storage_order")? == Some(true);
    let placed = windows(node, &spatial)?;
    let mut windows: Vec<Window> = placed.into_iter().map(|p| p.window).collect();
    let element = node.element(0);
    node.gives(0, element.unmasked());
    if !node.has_output(1) {
        let mut f = Formula::new(node, writer);
        if let Some((numbers, ends)) = masked::open_box(&mut f, x, element)? {
            x = numbers;
            if ends[..2].iter().any(|&ends| ends != (0, 0)) {
                return Err(node.unsupported("whole images or channels are masked"));
            }
            let crop = |&(before, after): &(usize, usize)| (-(before as i64), -(after as i64));
            let pads = ends.iter().map(crop).collect();
            x = f.put(Op::Pad { pads, value: 0.0 }, &[x])?;
            for (window, (before, after)) in windows.iter_mut().zip(&ends[2..]) {
                window.pad_begin += before;
                window.pad_end += after;
            }
        }
        return one(Value::Activation(largest(&mut f, x, windows)?));
    }
    node.gives(1, Element::Int);
    let x = masked::exact(node, writer, x, element)?;
    let mut f = Formula::new(node, writer);
    let y = largest(&mut f, x, windows.clone())?;
    let places = places::places(&mut f, (x, y), &windows, columns)?;
    Ok(vec![Value::Activation(y), Value::Activation(places)])
}

/// The maxima of windows. Windows of many taps on an axis are laid out one behind the other, a tap
/// outside in place of one inside.
fn largest(f: &mut Formula, mut x: ValueId, windows: Vec<Window>) -> Result<ValueId, Error> {
    let kind = PoolKind::Max;
    if windows.iter().all(|w| w.kernel <= TAPS) {
        return f.put(Op::Pool { kind, windows }, &[x]);
    }
    for (i, window) in windows.into_iter().enumerate() {
        let axis = i + 2;
        let mut shape = f.shape(x);
        let n = shape[axis];
        let outputs = window
            .output(n)
            .map_err(|reason| f.node.shape_error(reason))?;
        let cells = f.writer.allow(f.node, outputs.checked_mul(window.kernel))?;
        f.reserve(cells)?;
        let taps = outputs_taps(&window, n, outputs, cells);
        let taps = taps.ok_or_else(|| {
            f.node
                .unsupported("a window lies outside of the input: give smaller pads")
        })?;
        if !taps.iter().copied().eq(0..n) {
            x = f.select(x, axis, &taps)?;
        }
        shape.splice(axis..=axis, [outputs, window.kernel]);
        x = f.reshape(x, shape.clone())?;
        x = f.maximum(x, &BTreeSet::from([axis + 1]))?;
        shape.remove(axis + 1);
        x = f.reshape(x, shape)?;
    }
    Ok(x)
}

/// The positions that the taps of all outputs read, one outside the input in place of one inside.
fn outputs_taps(window: &Window, n: usize, outputs: usize, cells: usize) -> Option<Vec<usize>> {
    let mut taps = Vec::with_capacity(cells);
    for output in 0..outputs {
        let at = |tap: usize| {
            let at = window.stride * output + window.dilation * tap;
            at.checked_sub(window.pad_begin).filter(|&at| at < n)
        };
        let inside = (0..window.kernel).find_map(at)?;
        taps.extend((0..window.kernel).map(|tap| at(tap).unwrap_or(inside)));
    }
    Some(taps)
}

/// The mean over the taps inside the input, or inside the declared padding too
/// (`count_include_pad`); never over what `ceil_mode` adds.
pub(crate) fn average(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let (x, spatial) = input(node, writer)?;
    let include = node.flag("count_include_pad")? == Some(true);
    let placed = windows(node, &spatial)?;
    let mut windows: Vec<Window> = placed.iter().map(|p| p.window).collect();
    let padded = windows.iter().any(|w| w.pad_begin + w.pad_end > 0);
    if !include || !padded {
        return pool(node, writer, x, PoolKind::AverageInside, windows);
    }
    if placed.iter().all(|p| p.ceil_extra == 0) {
        return pool(node, writer, x, PoolKind::AveragePadded, windows);
    }
    // The declared padding becomes input, so that only what ceil_mode adds is left out.
    let mut pads = vec![(0, 0); 2];
    for (window, placed) in windows.iter_mut().zip(&placed) {
        let declared = window.pad_end - placed.ceil_extra;
        pads.push((window.pad_begin as i64, declared as i64));
        window.pad_begin = 0;
        window.pad_end = placed.ceil_extra;
    }
    let pad = Op::Pad { pads, value: 0.0 };
    let x = writer.add(node, pad, &[x])?;
    pool(node, writer, x, PoolKind::AverageInside, windows)
}

/// The windows that cover `spatial`, one output each.
pub(crate) fn global(spatial: &[usize]) -> Vec<Window> {
    let window = |&n: &usize| Window {
        kernel: n,
        stride: 1,
        dilation: 1,
        pad_begin: 0,
        pad_end: 0,
    };
    spatial.iter().map(window).collect()
}

/// The mean over all spatial axes.
pub(crate) fn global_average(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let (x, spatial) = input(node, writer)?;
    pool(node, writer, x, PoolKind::AverageInside, global(&spatial))
}

/// The maximum over all spatial axes.
pub(crate) fn global_max(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let (x, spatial) = input(node, writer)?;
    let element = node.element(0);
    node.gives(0, element.unmasked());
    let mut f = Formula::new(node, writer);
    if let Element::Masked(_) = element {
        let axes = (2..spatial.len() + 2).collect();
        let x = Operand::new(f.writer, Value::Activation(x), element);
        let (most, of_most) = x.maximum(&mut f, &axes)?;
        node.gives(0, of_most);
        return one(Value::Activation(most));
    }
    let y = largest(&mut f, x, global(&spatial))?;
    one(Value::Activation(y))
}

/// `(sum |x|^p)^(1 / p)` over the taps inside the input.
pub(crate) fn norm(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let (x, spatial) = input(node, writer)?;
    let windows = windows(node, &spatial)?.into_iter().map(|p| p.window);
    let windows = windows.collect::<Vec<_>>();
    normed(node, writer, x, &windows)
}

/// `(sum |x|^p)^(1 / p)` over all spatial axes.
pub(crate) fn global_norm(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let (x, spatial) = input(node, writer)?;
    normed(node, writer, x, &global(&spatial))
}

fn normed(
    node: &Node,
    writer: &mut Writer,
    x: ValueId,
    windows: &[Window],
) -> Result<Vec<Value>, Error> {
    let p = node.int("p")?.unwrap_or(2);
    let mut f = Formula::new(node, writer);
    // Products are exact, which the root of a small sum needs.
    let powers = match p {
        1 => f.apply(Activation::Abs, x)?,
        2 => f.square(x)?,
        3 => {
            let (size, square) = (f.apply(Activation::Abs, x)?, f.square(x)?);
            f.product(square, size)?
        }
        4 => {
            let square = f.square(x)?;
            f.square(square)?
        }
        _ => {
            return Err(node.bad_attribute(
                "p",
                format!("is {p}, expected 1 to 4: use MaxPool for large powers"),
            ));
        }
    };
    let spatial = writer.shape(x)[2..].to_vec();
    let mut maps = vec![AxisMap::Keep; 2];
    for (window, &n) in windows.iter().zip(&spatial) {
        let output = window
            .output(n)
            .map_err(|reason| node.shape_error(reason))?;
        writer.allow(node, output.checked_mul(window.kernel))?;
        maps.push(AxisMap::Matrix(sums(window, n, output)));
    }
    let sum = writer.add(node, Op::Map(maps), &[powers])?;
    let root = match p {
        1 => return one(Value::Activation(sum)),
        2 => Activation::Sqrt,
        _ => Activation::Power {
            exponent: (p as f32).recip(),
        },
    };
    let y = Formula::new(node, writer).apply(root, sum)?;
    one(Value::Activation(y))
}

/// `Y[i]` is the sum over the taps of output `i` inside an axis of `n`.
fn sums(window: &Window, n: usize, output: usize) -> AxisMatrix {
    let taps = |i: usize| {
        let position = move |tap| window.stride * i + window.dilation * tap - window.pad_begin;
        let inside = window.inside(i, n);
        inside.map(move |tap| (i as u32, position(tap) as u32, 1))
    };
    AxisMatrix {
        input: n,
        output,
        entries: (0..output).flat_map(taps).collect(),
        divisor: 1,
    }
}
