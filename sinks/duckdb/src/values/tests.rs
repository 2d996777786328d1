//! Round trips through a real `DuckDB`: what went in comes out, or did not fit.
