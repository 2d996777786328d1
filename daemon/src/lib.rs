//! To be written.

pub mod throwaway;
