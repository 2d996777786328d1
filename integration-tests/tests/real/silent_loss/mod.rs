//! The ways to lose or corrupt data in silence that change data capture is known for, one test each: 01 to 13 are
//! those of Postgres. `position` has the ones about where reading goes on, `content` those about what is read, `tables`
//! those about tables of which only a part would arrive.

mod content;
mod position;
mod tables;
