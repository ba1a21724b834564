//! The scheme without cryptography: the commitment is the columns. It is the oracle against
//! which everything above a commitment scheme is tested, and the best scheme for few cells.

/// Columns in the clear.
#[derive(Clone, Copy, Debug)]
pub struct Clear;
