pub mod model;
pub mod sources;
