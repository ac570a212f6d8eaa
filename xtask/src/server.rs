//! A server of our own.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::{
    steps::say,
    tools::{Done, io, said},
};

/// A running server; it is ended when this goes.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    /// Starts the server on an address, or on any free port where that one is taken.
    pub(crate) fn start(binaries: &Path, database: &Path, port: u16) -> Done<Self> {
        Self::start_at(binaries, database, port).or_else(|error| {
            if port == 0 {
                return Err(error);
            }
            say(format_args!("port {port} is taken; another is used"));
            Self::start_at(binaries, database, 0)
        })
    }

    fn start_at(binaries: &Path, database: &Path, port: u16) -> Done<Self> {
        let program = binaries.join("highwater-server");
        let mut child = Command::new(&program)
            .args([
                "--listen",
                &format!("127.0.0.1:{port}"),
                "--database",
                &format!("sqlite://{}", database.display()),
            ])
            .env("HIGHWATER_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .map_err(io(&program))?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out)
                .read_line(&mut line)
                .map_err(io(&program))?;
        }
        match line.trim().rsplit_once(" on ") {
            Some((_, url)) => Ok(Self {
                url: url.to_owned(),
                child,
            }),
            None => {
                let _ = child.wait();
                Err(said(format!("the server did not start on port {port}")))
            }
        }
    }

    /// Number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns when the server ends.
    pub(crate) fn wait(mut self) -> Done {
        self.child
            .wait()
            .map_err(io(Path::new("highwater-server")))?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        // An orderly end first: the server writes what waits and closes its files.
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.child.wait();
    }
}
