//! The contract of sources.
