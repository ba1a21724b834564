//! Integers whose scale depends on the input: `q = x / s` in steps of `s`, both unknown at import.
//!
//! The steps are carried as the real number `x` and the scale as 1: a product of as many steps as
//! scales is then the product of the real numbers that the integers approximate. What is not such a
//! product would depend on the scale, and is refused.

use crate::Error;
use crate::import::{Importer, Step};
use crate::ops::Reads;
use crate::scope::names::Meaning;
use crate::scope::value::{Dynamic, Element};

impl Importer {
    /// The results of an operator some of whose operands may be in steps of an unknown scale.
    pub(crate) fn in_units(
        &mut self,
        step: &Step,
        mut operands: Vec<Option<Meaning>>,
    ) -> Result<Vec<Option<Meaning>>, Error> {
        let mut unit: Option<Dynamic> = None;
        for (i, operand) in operands.iter_mut().enumerate() {
            let Some(Meaning::Tensor(_, element)) = operand else {
                continue;
            };
            let Element::Dynamic(other) = *element else {
                continue;
            };
            let known = step.multiplies || step.reads == Reads::Moves && i == 0;
            if !known || unit.is_some_and(|unit| unit.of != other.of) {
                return Err(step.unsupported(
                    "its operand is quantised with a scale that depends on the input, which is \
                     imported only where it is multiplied and scaled back (MatMulInteger, \
                     ConvInteger, DequantizeLinear, Mul): export the float model, or quantise \
                     statically (QDQ)",
                ));
            }
            let power = unit.map_or(0, |unit| unit.power) + other.power;
            unit = Some(Dynamic { power, ..other });
            *element = Element::Float;
        }
        let mut results = self.apart(step, operands)?;
        if let Some(unit) = unit {
            for result in results.iter_mut().flatten() {
                if let Meaning::Tensor(_, element) = result {
                    *element = match unit.power {
                        0 => Element::Float,
                        _ => Element::Dynamic(unit),
                    };
                }
            }
        }
        Ok(results)
    }
}
