pub mod analysis;
pub mod model;
pub mod report;
