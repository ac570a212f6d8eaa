//! The address of a server on the command line.

use std::ffi::OsStr;

use clap::{builder::TypedValueParser, error::ErrorKind};

use crate::settings::parse_server;

/// Reads the address of a server; unlike clap's own way, an error does not repeat it, for there may be a password in it.
#[derive(Debug, Clone)]
pub(super) struct ServerParser;

impl TypedValueParser for ServerParser {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        parse_server(&value.to_string_lossy()).map_err(|problem| {
            let mut command = command.clone();
            command.error(ErrorKind::ValueValidation, format!("--server: {problem}"))
        })
    }
}
