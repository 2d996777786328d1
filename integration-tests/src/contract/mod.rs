//! What every sink and every source must do, as named cases that a new one is run through unchanged. A crate's own
//! tests may ask for more; none may ask for less.

pub mod sink;
pub mod source;
