//! `highwater-server`: keeps and shows recordings of pytest memory.

use std::{io::IsTerminal, process::ExitCode};

use highwater_server::{
    check, cli,
    commands::{Order, backup, export, import, job, project, retention, token},
    config::{self, Config},
    open, serve,
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("highwater-server: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let now_unix_us = jiff::Timestamp::now().as_microsecond();
    let (out, notes) = (&mut std::io::stdout(), &mut std::io::stderr());
    match cli::read(std::env::args_os())? {
        Order::Serve(config) => serve_until_asked(*config).await,
        Order::Token(database, order) => {
            let store = open(&database).await?;
            let done = token::run(&store, order, now_unix_us, out, notes).await;
            store.close().await;
            done
        }
        Order::Export(database, order) => {
            let store = open(&database).await?;
            let done = export::run(&store, order).await;
            store.close().await;
            done
        }
        Order::Import(database, order) => {
            let store = open(&database).await?;
            let done = import::run(&store, order, out, notes).await;
            store.close().await;
            done
        }
        Order::Project(database, order) => {
            let store = open(&database).await?;
            let done = project::run(&store, order, out).await;
            store.close().await;
            done
        }
        Order::Job(database, order) => {
            let store = open(&database).await?;
            let done = job::run(&store, order, out).await;
            store.close().await;
            done
        }
        Order::Retention(database, order) => {
            let store = open(&database).await?;
            let done = retention::run(&store, order, now_unix_us, out).await;
            store.close().await;
            done
        }
        Order::Backup(database, file) => backup::run(&database, &file, out).await,
    }
}

async fn serve_until_asked(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let filter = config::variable("HIGHWATER_LOG").unwrap_or_else(|| "info".to_owned());
    let filter = tracing_subscriber::EnvFilter::try_new(&filter)
        .map_err(|error| format!("HIGHWATER_LOG: {filter:?}: {error}"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let listener = TcpListener::bind(config.listen).await.map_err(|error| {
        format!(
            "cannot listen on {}: {error}; choose another with --listen",
            config.listen
        )
    })?;
    let store = open(&config.database).await?;
    check(&config, &store).await?;
    // Whoever waits for this line goes on to send: by now everything else is in place.
    println!(
        "highwater-server: listening on http://{}",
        listener.local_addr()?
    );
    serve(&config, store, listener, asked_to_stop()).await;
    Ok(())
}

/// Returns at the first SIGINT or SIGTERM.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupted = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupted.await;
        }
    }
}
