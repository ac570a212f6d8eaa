//! What the program does besides serving.

pub mod export;
pub mod import;
pub mod project;
pub mod token;

use crate::config::Config;

/// What the command line asks for; commands work on the database of that address.
#[derive(Debug)]
pub enum Order {
    /// Listen and answer.
    Serve(Box<Config>),
    /// Something about tokens.
    Token(String, token::Order),
    /// Write a job for other programs.
    Export(String, export::Order),
    /// Keep recordings that come as files.
    Import(String, import::Order),
    /// Something about a project.
    Project(String, project::Order),
}
