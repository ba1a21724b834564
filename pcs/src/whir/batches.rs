//! The claims on one part as the library wants them: a table for the columns of each length, and
//! for each table one batch of columns a point.

use super::plan::Part;
use crate::scheme::{Claim, TableShape};
use p3_multilinear_util::point::Point as LibraryPoint;
use p3_sumcheck::{OpeningBatch, OpeningEvals, OpeningProtocol, TableSpec};
use zkstrata_mle::{E, Point, PrimeCharacteristicRing};

/// A claim on a part, with the position of its column.
pub(super) type Located<'a> = (usize, &'a Claim<E>);

/// The claims on the part's columns.
pub(super) fn locate<'a>(
    part: &Part,
    shape: &[TableShape],
    claims: &'a [Claim<E>],
) -> Vec<Located<'a>> {
    claims
        .iter()
        .filter_map(|claim| {
            let num_vars = shape.get(claim.column.table)?.num_vars;
            Some((part.position(claim.column, num_vars)?, claim))
        })
        .collect()
}

/// A part's claims, batch by batch in the library's order.
pub(super) struct Batches {
    /// Tables and the columns of each batch.
    pub(super) protocol: OpeningProtocol,
    /// The point of each batch.
    pub(super) points: Vec<LibraryPoint<E>>,
    /// The claimed values of each batch.
    pub(super) values: Vec<OpeningEvals<E>>,
    /// The positions of each batch's columns, for the prover.
    #[cfg_attr(not(feature = "prover"), allow(dead_code))]
    pub(super) positions: Vec<Vec<usize>>,
}

impl Batches {
    /// Groups the claims of each table by their points.
    pub(super) fn new(part: &Part, claims: &[Located<'_>]) -> Self {
        let (mut specs, mut points) = (vec![], vec![]);
        let (mut values, mut positions) = (vec![], vec![]);
        let mut first = 0;
        for table in part.tables() {
            let range = first..first + table.width();
            let mut groups: Vec<(&Point, Vec<Located<'_>>)> = vec![];
            for &(position, claim) in claims.iter().filter(|(k, _)| range.contains(k)) {
                match groups.iter_mut().find(|(point, _)| **point == claim.point) {
                    Some((_, group)) => group.push((position, claim)),
                    None => groups.push((&claim.point, vec![(position, claim)])),
                }
            }
            let mut batches = vec![];
            for (point, group) in groups {
                // A padded column is zero where a padding variable is 1.
                let padding = table.num_variables() - point.len();
                let mut coordinates = vec![E::ZERO; padding];
                coordinates.extend(point.iter());
                points.push(LibraryPoint::new(coordinates));
                let columns = group.iter().map(|(k, _)| k - first).collect();
                batches.push(OpeningBatch::new(columns, vec![]));
                let claimed = group.iter().map(|(_, claim)| claim.value).collect();
                values.push(OpeningBatch::new(claimed, vec![]));
                positions.push(group.iter().map(|&(k, _)| k).collect());
            }
            specs.push(TableSpec::new(table, batches));
            first = range.end;
        }
        Self {
            protocol: OpeningProtocol::new(specs),
            points,
            values,
            positions,
        }
    }
}
