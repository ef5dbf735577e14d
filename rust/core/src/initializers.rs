//! initializers
