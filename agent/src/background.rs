//! A recording that goes on beside the steps of a CI job: where it stands, what it leaves for the next steps, and its life.

pub mod agent;
mod continued;
pub mod exports;
pub mod find;
pub mod life;
pub mod runner;
pub mod state;

pub use runner::Standing;
