pub mod analysis;
pub mod model;
pub mod publish;
pub mod report;
pub mod sample;
pub mod store;
