//! The claims on one part as the library wants them: for each table one batch of columns a point.

use super::plan::Part;
use crate::scheme::{Claim, ColumnId};
use p3_multilinear_util::point::Point as LibraryPoint;
use p3_sumcheck::{OpeningBatch, OpeningEvals, OpeningProtocol, TableShape, TableSpec};
use zkstrata_mle::{E, Point, PrimeCharacteristicRing};

/// A part's claims, batch by batch in the library's order.
pub(super) struct Batches {
    /// Tables and the columns of each batch.
    pub(super) protocol: OpeningProtocol,
    /// The point of each batch.
    pub(super) points: Vec<LibraryPoint<E>>,
    /// The claimed values of each batch.
    pub(super) values: Vec<OpeningEvals<E>>,
}

impl Part {
    /// The claims on this part's columns, renamed to their position in it.
    pub(super) fn select(&self, claims: &[Claim<E>]) -> Vec<Claim<E>> {
        claims
            .iter()
            .filter_map(|claim| {
                let (table, column) = self.position(claim.column)?;
                Some(Claim {
                    column: ColumnId { table, column },
                    ..claim.clone()
                })
            })
            .collect()
    }
}

impl Batches {
    /// Groups the claims of each table by their points.
    pub(super) fn new(part: &Part, claims: &[Claim<E>]) -> Self {
        let (mut tables, mut points, mut values) = (vec![], vec![], vec![]);
        for (k, table) in part.tables.iter().enumerate() {
            let mut groups: Vec<(&Point, Vec<&Claim<E>>)> = vec![];
            for claim in claims.iter().filter(|claim| claim.column.table == k) {
                match groups.iter_mut().find(|(point, _)| **point == claim.point) {
                    Some((_, group)) => group.push(claim),
                    None => groups.push((&claim.point, vec![claim])),
                }
            }
            let mut batches = vec![];
            for (point, group) in groups {
                // A padded column is zero where a padding variable is 1.
                let padding = table.padded_vars() - table.num_vars;
                let mut coordinates = vec![E::ZERO; padding];
                coordinates.extend(point.iter());
                points.push(LibraryPoint::new(coordinates));
                let columns = group.iter().map(|claim| claim.column.column).collect();
                batches.push(OpeningBatch::new(columns, vec![]));
                let claimed = group.iter().map(|claim| claim.value).collect();
                values.push(OpeningBatch::new(claimed, vec![]));
            }
            let shape = TableShape::new(table.padded_vars(), table.width);
            tables.push(TableSpec::new(shape, batches));
        }
        Self {
            protocol: OpeningProtocol::new(tables),
            points,
            values,
        }
    }
}
