//! Keeps recordings of pytest memory, draws them and answers questions about them.
//!
//! Rooms: `durations`, `config`, `error`, `access`, `work`, `finalise`, `state`; `ingest` takes in what `intake` has room for, `metrics` counts, `fresh` confirms what somebody has already, `settle` finalises, `rests` says how long what failed is left alone, `webhooks` tell others of it, `retention` removes, `reading` answers, `acknowledging` takes what somebody knows of figures, `export` writes
//! a job for other programs, `import` reads recordings that come as files; `foreign` opens a door to all of these that take foreign bytes; `views` turn answers into what a
//! page shows; `api` and `web` speak HTTP; `router` holds every route; `serve` runs it all.
//! `cli` reads the command line; `commands` is what the program does besides serving.

mod access;
mod acknowledging;
mod api;
pub mod cli;
pub mod commands;
mod comparing;
pub mod config;
mod durations;
mod error;
mod export;
mod extract;
mod finalise;
pub mod foreign;
mod fresh;
mod import;
mod ingest;
mod intake;
mod metrics;
mod planning;
mod reading;
mod rests;
mod retention;
mod router;
mod serve;
mod settle;
mod state;
mod views;
mod web;
mod webhooks;
mod work;

pub use access::Scope;
pub use api::openapi;
pub use export::{Form, Format, What};
pub use serve::{ServeError, check, open, serve};
