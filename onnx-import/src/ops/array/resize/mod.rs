//! Resize and Upsample: interpolation along each axis, a matrix per axis.

mod axis;
mod grid;

use ndarray::ArrayD;
use zkstrata_model_ir::float::{AxisMap, Op};

use self::axis::{Coordinates, Interpolation, Nearest, Scale, Stretch};
pub(crate) use self::grid::grid_sample;
use crate::Error;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::Value;
use crate::write::Writer;

/// How the output sizes follow from the requested ones.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aspect {
    Stretch,
    NotLarger,
    NotSmaller,
}

/// Nearest cells at opset 7, and linear interpolation.
pub(crate) fn upsample(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let x = node.value(0)?;
    let scales = if node.opset() < 9 {
        node.at_most(1)?;
        node.floats("scales")?.map(<[f32]>::to_vec)
    } else {
        node.at_most(2)?;
        floats(node, 1)?
    };
    let scales = scales.ok_or_else(|| node.shape_error("Upsample needs scales"))?;
    let interpolation = old_interpolation(node)?;
    scaled(node, writer, x, &scales, interpolation)
}

/// The input with each axis of another length.
pub(crate) fn resize(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let x = node.value(0)?;
    if node.opset() < 11 {
        node.at_most(2)?;
        let scales = floats(node, 1)?;
        let scales = scales.ok_or_else(|| node.shape_error("Resize needs scales"))?;
        let interpolation = old_interpolation(node)?;
        return scaled(node, writer, x, &scales, interpolation);
    }
    node.at_most(4)?;
    let shape = writer.shape_of(&x).to_vec();
    let (roi, scales) = (floats(node, 1)?, floats(node, 2)?);
    let sizes = node.optional_indices(3)?.filter(|sizes| !sizes.is_empty());
    let interpolation = interpolation(node)?;
    let (axes, aspect) = axes(node, shape.len())?;
    let fits = |n: usize| {
        if n == axes.len() {
            Ok(())
        } else {
            Err(node.shape_error(format!("{n} scales or sizes for {} axes", axes.len())))
        }
    };
    let mut stretches: Vec<Option<Stretch>> = vec![None; shape.len()];
    match (scales, sizes) {
        (Some(scales), None) => {
            fits(scales.len())?;
            for (&axis, &scale) in axes.iter().zip(&scales) {
                stretches[axis] = Some(by_scale(node, shape[axis], scale)?);
            }
        }
        (None, Some(sizes)) => {
            fits(sizes.len())?;
            let sizes = sizes
                .iter()
                .map(|&n| u32::try_from(n).ok().filter(|&n| n > 0));
            let sizes: Option<Vec<u32>> = sizes.collect();
            let sizes = sizes.ok_or_else(|| node.shape_error("Resize to an empty axis"))?;
            let own = |i: usize| Scale::ratio(sizes[i] as usize, shape[axes[i]]);
            let scales = (0..axes.len()).map(own);
            let common = match aspect {
                Aspect::Stretch => None,
                Aspect::NotLarger => scales.min_by(|a, b| a.value().total_cmp(&b.value())),
                Aspect::NotSmaller => scales.max_by(|a, b| a.value().total_cmp(&b.value())),
            };
            for (i, &axis) in axes.iter().enumerate() {
                let scale = common.unwrap_or(own(i));
                let output = match common {
                    None => sizes[i] as usize,
                    Some(scale) => scale.times(shape[axis]).round() as usize,
                };
                stretches[axis] = Some(Stretch::new(shape[axis], output, scale));
            }
        }
        _ => return Err(node.shape_error("Resize needs either scales or sizes")),
    }
    if interpolation.coordinates == Coordinates::Crop {
        let roi = roi.filter(|roi| roi.len() == 2 * axes.len());
        let roi = roi.ok_or_else(|| node.shape_error("Resize needs a region for each axis"))?;
        for (i, &axis) in axes.iter().enumerate() {
            let region = (f64::from(roi[i]), f64::from(roi[axes.len() + i]));
            stretches[axis] = stretches[axis].map(|s| s.of_region(region));
        }
    }
    resized(node, writer, x, &stretches, interpolation)
}

/// The interpolation before opset 11: the scaled position's cell or its two neighbours.
fn old_interpolation(node: &Node) -> Result<Interpolation, Error> {
    let mut interpolation = Interpolation {
        coordinates: Coordinates::Asymmetric,
        ..Interpolation::nearest(Nearest::Inward)
    };
    match node.string("mode")?.unwrap_or("nearest") {
        "nearest" => {}
        "linear" | "bilinear" => interpolation.kernel = axis::Kernel::Linear,
        other => return Err(node.bad_attribute("mode", format!("is `{other}`"))),
    }
    Ok(interpolation)
}

/// The interpolation that the attributes describe since opset 11.
fn interpolation(node: &Node) -> Result<Interpolation, Error> {
    let unknown = |name: &str, value: &str| node.bad_attribute(name, format!("is `{value}`"));
    let nearest = match node.string("nearest_mode")?.unwrap_or("round_prefer_floor") {
        "round_prefer_floor" => Nearest::PreferFloor,
        "round_prefer_ceil" => Nearest::PreferCeil,
        "floor" => Nearest::Floor,
        "ceil" => Nearest::Ceil,
        other => return Err(unknown("nearest_mode", other)),
    };
    let a = f64::from(node.float("cubic_coeff_a")?.unwrap_or(-0.75));
    let kernel = match node.string("mode")?.unwrap_or("nearest") {
        "nearest" => axis::Kernel::Nearest(nearest),
        "linear" => axis::Kernel::Linear,
        "cubic" if a.abs() <= 16.0 => axis::Kernel::Cubic { a },
        "cubic" => return Err(node.bad_attribute("cubic_coeff_a", format!("is {a}"))),
        other => return Err(unknown("mode", other)),
    };
    let name = "coordinate_transformation_mode";
    let coordinates = match node.string(name)?.unwrap_or("half_pixel") {
        "half_pixel" => Coordinates::HalfPixel,
        "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
        "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
        "align_corners" => Coordinates::AlignCorners,
        "asymmetric" => Coordinates::Asymmetric,
        "tf_half_pixel_for_nn" => Coordinates::TfHalfPixel,
        "tf_crop_and_resize" => Coordinates::Crop,
        other => return Err(unknown(name, other)),
    };
    let extrapolation = node.float("extrapolation_value")?.unwrap_or(0.0);
    if !extrapolation.is_finite() {
        return Err(node.bad_attribute("extrapolation_value", format!("is {extrapolation}")));
    }
    Ok(Interpolation {
        kernel,
        coordinates,
        exclude_outside: node.flag("exclude_outside")? == Some(true),
        antialias: node.opset() >= 18 && node.flag("antialias")? == Some(true),
        extrapolation,
    })
}

/// The axes that scales and sizes concern, all unless opset 18's attribute lists some.
fn axes(node: &Node, rank: usize) -> Result<(Vec<usize>, Aspect), Error> {
    if node.opset() < 18 {
        return Ok(((0..rank).collect(), Aspect::Stretch));
    }
    let axes = match node.ints("axes")? {
        None => (0..rank).collect(),
        Some(list) => {
            node.axes(list, rank)?;
            let axes = list.iter().map(|&axis| node.axis(axis, rank));
            axes.collect::<Result<_, _>>()?
        }
    };
    let name = "keep_aspect_ratio_policy";
    let aspect = match node.string(name)?.unwrap_or("stretch") {
        "stretch" => Aspect::Stretch,
        "not_larger" => Aspect::NotLarger,
        "not_smaller" => Aspect::NotSmaller,
        other => return Err(node.bad_attribute(name, format!("is `{other}`"))),
    };
    Ok((axes, aspect))
}

/// Takes an optional constant list of floats; an empty one counts as omitted.
fn floats(node: &mut Node, index: usize) -> Result<Option<Vec<f32>>, Error> {
    let list = node.optional_weight(index)?;
    let list = list.map(|list| list.into_iter().collect::<Vec<f32>>());
    Ok(list.filter(|list| !list.is_empty()))
}

/// An axis of `n` scaled: `floor(scale n)` cells.
fn by_scale(node: &Node, n: usize, scale: f32) -> Result<Stretch, Error> {
    let valid = scale.is_finite() && scale > 0.0;
    let scale = Scale::near(scale);
    let output = scale.times(n);
    // The bound keeps lengths countable; the budget is far below.
    if !valid || !(1.0..=f64::from(1 << 30)).contains(&output) {
        return Err(node.shape_error(format!("a scale of {} for {n} cells", scale.value())));
    }
    Ok(Stretch::new(n, output.floor() as usize, scale))
}

/// All axes scaled.
fn scaled(
    node: &Node,
    writer: &mut Writer,
    x: Value,
    scales: &[f32],
    interpolation: Interpolation,
) -> Result<Vec<Value>, Error> {
    let shape = writer.shape_of(&x).to_vec();
    if scales.len() != shape.len() {
        return Err(node.shape_error(format!("{} scales for {shape:?}", scales.len())));
    }
    let stretches = shape.iter().zip(scales);
    let stretches = stretches.map(|(&n, &scale)| by_scale(node, n, scale).map(Some));
    let stretches = stretches.collect::<Result<Vec<_>, _>>()?;
    resized(node, writer, x, &stretches, interpolation)
}

/// One matrix per axis; what lies outside of the region is the extrapolation's value.
fn resized(
    node: &Node,
    writer: &mut Writer,
    x: Value,
    stretches: &[Option<Stretch>],
    interpolation: Interpolation,
) -> Result<Vec<Value>, Error> {
    let x = writer.lift(node, x)?;
    let mut maps = Vec::with_capacity(stretches.len());
    let mut outside: Vec<Vec<bool>> = Vec::with_capacity(stretches.len());
    for (stretch, &n) in stretches.iter().zip(&writer.shape(x).to_vec()) {
        let Some(stretch) = stretch.filter(|s| !s.is_identity()) else {
            maps.push(AxisMap::Keep);
            outside.push(vec![false; n]);
            continue;
        };
        if stretch.is_disputed(interpolation.coordinates) {
            writer.note(format!(
                "node `{}` resizes an axis of {n} to {} by coordinates that onnxruntime and PyTorch \
                 read otherwise; they are those of ONNX's reference: resize by sizes to have the same \
                 everywhere",
                node.name(),
                stretch.output
            ));
        }
        let taps = stretch.taps(&interpolation);
        writer.allow(node, taps.checked_mul(stretch.output))?;
        let rows = stretch.rows(&interpolation);
        outside.push(rows.iter().map(Vec::is_empty).collect());
        maps.push(AxisMap::Matrix(axis::matrix(n, &rows)));
    }
    if maps.iter().all(|map| *map == AxisMap::Keep) {
        return one(Value::Activation(x));
    }
    let y = writer.add(node, Op::Map(maps), &[x])?;
    let extrapolated = outside.iter().flatten().any(|&o| o);
    if !extrapolated || interpolation.extrapolation == 0.0 {
        return one(Value::Activation(y));
    }
    let shape: Vec<usize> = outside.iter().map(Vec::len).collect();
    writer.allow(node, crate::decode::tensor::count(&shape))?;
    let shift = ArrayD::from_shape_fn(shape, |index| {
        let out = outside.iter().enumerate().any(|(axis, o)| o[index[axis]]);
        if out {
            interpolation.extrapolation
        } else {
            0.0
        }
    });
    let scale = ndarray::arr0(1.0).into_dyn();
    let y = writer.add(node, Op::Affine { scale, shift }, &[y])?;
    one(Value::Activation(y))
}
