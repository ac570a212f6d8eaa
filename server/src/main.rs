//! `highwater-server`: keeps and shows recordings of pytest memory.

use std::{io::IsTerminal, process::ExitCode};

use highwater_server::{
    check, cli,
    commands::{Order, backup, doctor, export, import, job, project, retention, token, webhook},
    config::{self, Config},
    open, serve,
};
use highwater_store::{Store, is_there};
use rustix::fs::Mode;
use tokio::net::TcpListener;

/// A batch is decoded into many small texts on one thread and let go on another, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    // What it keeps is for nobody else on this machine.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    match cli::read(std::env::args_os())? {
        Order::Serve(config) => serve_until_asked(*config).await,
        Order::Doctor(config, must_run) => doctor::run(&config, must_run, out).await,
        Order::Token(database, order) => {
            // The first token may come before the first start.
            let may_make = matches!(order, token::Order::Create { .. });
            on(&database, may_make, async |store| {
                token::run(store, order, now_unix_us, out, notes).await
            })
            .await
        }
        Order::Export(database, order) => {
            on(&database, false, async |store| {
                export::run(store, order).await
            })
            .await
        }
        Order::Import(database, order) => {
            on(&database, true, async |store| {
                import::run(store, order, out, notes).await
            })
            .await
        }
        Order::Project(database, order) => {
            on(&database, true, async |store| {
                project::run(store, order, out).await
            })
            .await
        }
        Order::Job(database, order) => {
            on(&database, false, async |store| {
                job::run(store, order, out).await
            })
            .await
        }
        Order::Retention(database, order) => {
            on(&database, false, async |store| {
                retention::run(store, order, now_unix_us, out).await
            })
            .await
        }
        Order::Webhook(database, order) => {
            // Told can be of a project whose first job is still to come.
            let may_make = matches!(order, webhook::Order::Add(_));
            on(&database, may_make, async |store| {
                webhook::run(store, order, now_unix_us, out, notes).await
            })
            .await
        }
        Order::Backup(database, file) => backup::run(&database, &file, out).await,
    }
}

type Done = Result<(), Box<dyn std::error::Error>>;

/// Works on a database, which must be there unless the work may make it: one that is named wrongly would be empty.
async fn on(database: &str, may_make: bool, work: impl AsyncFnOnce(&Store) -> Done) -> Done {
    if !may_make && !is_there(database)? {
        let what =
            "no server has made it; name the server's own with --database or HIGHWATER_DATABASE";
        return Err(format!("{database}: is not there: {what}").into());
    }
    let store = open(database).await?;
    let done = work(&store).await;
    store.close().await;
    done
}

async fn serve_until_asked(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let filter = config::variable("HIGHWATER_LOG").unwrap_or_else(|| "info".to_owned());
    let filter = tracing_subscriber::EnvFilter::try_new(&filter)
        .map_err(|error| format!("HIGHWATER_LOG: {filter:?}: {error}"))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match config::variable("HIGHWATER_LOG_FORMAT").as_deref() {
        Some("json") => log.json().init(),
        None | Some("text") => log.with_ansi(std::io::stderr().is_terminal()).init(),
        Some(other) => {
            return Err(format!("HIGHWATER_LOG_FORMAT: {other:?} is neither text nor json").into());
        }
    }
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
    serve(&config, store, listener, asked_to_stop()).await?;
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
