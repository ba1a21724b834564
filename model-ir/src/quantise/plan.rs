//! The plan: what every pass found, for lowering to read.
//!
//! Each pass is a value of a type of its own, made by one function from those before it and never
//! changed, so that nothing can be asked of a pass that has not run.
//!
//! A class of tied values takes the largest scale a member demands: its calibrated range, with the
//! profile's margin, must fit its bits.

use super::bits::Bits;
use super::facts::Facts;
use super::forms::Forms;
use super::missing::View;
use super::needs::Needs;
use super::scales::Scales;
use super::ties::Ties;
use crate::float::Node;

/// How a graph is quantised.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) facts: Facts<'a>,
    pub(super) forms: Forms,
    pub(super) ties: Ties,
    pub(super) bits: Bits,
    pub(super) needs: Needs,
    pub(super) scales: Scales,
    /// What each input is of an input of the model.
    pub(super) views: Vec<View>,
}

impl<'a> Plan<'a> {
    /// The node that produces value `v`.
    pub(super) fn node(&self, v: usize) -> &'a Node {
        self.facts.node(v)
    }

    /// What input `v` is of an input of the model.
    pub(super) fn view(&self, v: usize) -> &View {
        let before = self.facts.graph.inputs().take_while(|input| input.0 < v);
        &self.views[before.count()]
    }
}
