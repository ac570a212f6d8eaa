//! `cargo xtask hostile`: the test against hostile requests, with release builds and as many requests as wanted.

use clap::Args;

use crate::{
    chromium::chromium,
    test::E2E_PACKAGES,
    tools::{self, Done, build, command, example},
    venv::{python, venv},
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many requests are sent.
    #[arg(long, default_value_t = 20_000)]
    requests: u64,
}

pub(crate) fn run(options: &Options) -> Done {
    let binaries = build(true)?;
    example("hostile", true)?;
    let browser = chromium()?;
    let venv = venv("e2e", E2E_PACKAGES)?;
    let mut test = command(python(&venv));
    test.args([
        "-m",
        "pytest",
        "-q",
        "-s",
        "-p",
        "no:cacheprovider",
        "e2e/system/test_hostile.py",
    ]);
    test.env("HIGHWATER_BIN_DIR", &binaries)
        .env("HIGHWATER_CHROMIUM", browser)
        .env("HIGHWATER_HOSTILE_REQUESTS", options.requests.to_string());
    tools::run(&mut test)
}
