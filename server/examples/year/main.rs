//! A year of a company's CI in one database, and how long its pages take.
//!
//! `year fill DATABASE --from DATABASE --jobs N --with-pages M` copies the settled jobs of one database so often into another, each with figures of its
//! own; retention takes the samples of all but the last M. `year look URL --database DATABASE --seconds S` asks for every page and every list of such a
//! database, each with what a reader may ask, and tells how long the answers took.

mod fill;
mod look;

use std::process::ExitCode;

use clap::Parser;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Parser)]
enum Command {
    Fill(fill::Args),
    Look(look::Args),
}

fn main() -> ExitCode {
    let done = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| match Command::parse() {
            Command::Fill(args) => runtime.block_on(fill::fill(args)),
            Command::Look(args) => runtime.block_on(look::look(args)),
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("year: {error}");
            ExitCode::FAILURE
        }
    }
}
