//! Makes the inputs that fuzzing begins with: `seeds FOLDER`.

use std::{env, path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("say where to: seeds FOLDER");
        return ExitCode::FAILURE;
    };
    match highwater_foreign::seeds::make(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}
