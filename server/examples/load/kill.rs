//! Kills the server, or its machine, again and again while jobs are played, and looks each time whether everything acknowledged is there.

mod moment;
mod old;

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use clap::Parser;
use fastrand::Rng;
use highwater_store::{Store, problems};
use hyper::StatusCode;

use crate::{
    Failure,
    client::Client,
    compare,
    ledger::{Acknowledged, Ledger},
    life::{Life, Play},
    subject::Subject,
    tally::Tally,
    trace::Trace,
};
use moment::Moment;
use old::Old;

/// How long is played for at all, should everything hang.
const LONGEST: Duration = Duration::from_secs(4 * 3600);

/// After so many rounds it says how far it is.
const TOLD_EACH: u32 = 5;

#[derive(Debug, Clone, Parser)]
pub(crate) struct KillArgs {
    /// A job's folder in a spool.
    #[arg(long)]
    spool: PathBuf,
    /// The server's program. It is what is killed, unless there is a guest.
    #[arg(long)]
    server: PathBuf,
    /// An empty folder for databases and logs.
    #[arg(long)]
    folder: PathBuf,
    #[arg(long, default_value_t = 10)]
    rounds: u32,
    /// What is drawn by lot is the same for the same number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many jobs are live at once.
    #[arg(long, default_value_t = 16)]
    jobs: u32,
    /// How many batches a job has, and how long after one the next is due.
    #[arg(long, default_value_t = 20)]
    batches: u32,
    #[arg(long, default_value_t = 100)]
    pace_ms: u64,
    /// Where a guest's server can be reached.
    #[arg(long, requires = "guest")]
    address: Option<String>,
    /// Starts the machine that is killed in the server's place.
    #[arg(last = true)]
    guest: Vec<String>,
}

/// What was seen over all rounds.
#[derive(Debug, Default)]
struct Seen {
    killed: BTreeMap<Moment, u32>,
    births: u32,
    starts_ms: Vec<u128>,
    checks: u32,
    /// Everything that is not as it must be.
    wrong: Vec<String>,
}

pub(crate) async fn kill(args: KillArgs) -> Result<(), Failure> {
    fs::create_dir_all(&args.folder)?;
    let trace = Arc::new(Trace::read(&args.spool, args.batches)?);
    let mut rng = Rng::with_seed(args.seed);
    let is_guest = !args.guest.is_empty();
    let address = match &args.address {
        Some(address) => address.clone(),
        None => free_address()?,
    };
    let log = args.folder.join("server.log");
    let database = format!("sqlite://{}", args.folder.join("highwater.db").display());
    let old = match is_guest {
        true => None,
        false => Some(Old::plant(&args.folder, &database, &trace, args.rounds).await?),
    };
    let mut subject = match &old {
        None => Subject::new(args.guest.clone(), &address, log),
        Some(old) => Subject::server(&args.server, &address, &database, &old.settings, log),
    };
    let play = Arc::new(Play {
        address: address.clone(),
        trace: Arc::clone(&trace),
        tally: Arc::new(Tally::new(std::process::id())),
        ledger: Ledger::default(),
        lasts: args.batches,
        pace: Duration::from_millis(args.pace_ms),
        began: Instant::now().into(),
        until: (Instant::now() + LONGEST).into(),
        is_last: AtomicBool::new(false),
    });
    let mut rounds = Rounds {
        database: (!is_guest).then_some(database),
        old,
        seen: Seen::default(),
        checked: Vec::new(),
        play: Arc::clone(&play),
        args: &args,
    };
    rounds.warm_up(&mut subject).await?;
    let lives: Vec<_> = (0..args.jobs)
        .map(|number| tokio::spawn(Life::new(Arc::clone(&play), number, args.jobs).run()))
        .collect();
    for round in 0..args.rounds {
        rounds.one(round, &mut subject, &mut rng).await?;
        if (round + 1) % TOLD_EACH == 0 {
            rounds.tell_so_far(round + 1);
        }
    }
    rounds.start(&mut subject).await?;
    play.is_last.store(true, Relaxed);
    for life in lives {
        life.await?;
    }
    rounds.last(&mut subject).await
}

struct Rounds<'a> {
    /// Where the database can be looked at: not in a guest.
    database: Option<String>,
    old: Option<Old>,
    seen: Seen,
    /// Of each job how much of it was looked for.
    checked: Vec<(u32, bool)>,
    play: Arc<Play>,
    args: &'a KillArgs,
}

impl Rounds<'_> {
    /// What is to be removed later must be finalised before.
    async fn warm_up(&mut self, subject: &mut Subject) -> Result<(), Failure> {
        let Some(old) = &self.old else {
            return Ok(());
        };
        subject.start()?;
        subject.ready(Instant::now()).await?;
        let mut client = Client::new(&subject.address);
        for job in old.jobs() {
            compare::settled(&mut client, job).await?;
        }
        subject.kill()?;
        Ok(())
    }

    fn tell_so_far(&self, rounds: u32) {
        let jobs = self.play.ledger.jobs();
        let batches: u64 = jobs.iter().map(|job| u64::from(job.batches)).sum();
        println!(
            "after {rounds} rounds: {} jobs, {batches} batches acknowledged; wrong: {}",
            jobs.len(),
            self.seen.wrong.len()
        );
    }

    async fn one(
        &mut self,
        round: u32,
        subject: &mut Subject,
        rng: &mut Rng,
    ) -> Result<(), Failure> {
        let moment = match &self.database {
            None => Moment::Any,
            Some(_) => Moment::of(round),
        };
        if let (Moment::Retention, Some(old)) = (moment, &mut self.old) {
            old.let_more_go()?;
        }
        if moment == Moment::Start {
            subject.start()?;
            let usual = self.seen.starts_ms.last().copied().unwrap_or(100);
            let within = u64::try_from(usual).unwrap_or(100) * 5 / 4;
            tokio::time::sleep(Duration::from_micros(rng.u64(0..=within * 1000))).await;
            subject.kill()?;
            self.birth(rng).await?;
            *self.seen.killed.entry(moment).or_default() += 1;
            return Ok(());
        }
        self.start(subject).await?;
        let hit = match &self.database {
            None => moment::in_a_guest(rng).await,
            Some(database) => moment.come(database, subject, &self.play.ledger, rng).await,
        };
        subject.kill()?;
        *self.seen.killed.entry(hit).or_default() += 1;
        Ok(())
    }

    /// Starts what was killed, and looks at what it has.
    async fn start(&mut self, subject: &mut Subject) -> Result<(), Failure> {
        let began = Instant::now();
        subject.start()?;
        let took = subject.ready(began).await?;
        self.seen.starts_ms.push(took.as_millis());
        let jobs = self.play.ledger.jobs();
        self.checked.resize(jobs.len(), (0, false));
        let mut touched = Vec::new();
        for (job, checked) in jobs.iter().zip(&mut self.checked) {
            if job.is_begun && *checked != (job.batches, job.is_ended) {
                touched.push(Acknowledged {
                    seen: checked.0,
                    ..job.clone()
                });
                *checked = (job.batches, job.is_ended);
            }
        }
        self.look(subject, &touched, false).await
    }

    /// Looks for what was acknowledged of these jobs; once they are over nothing else may be there.
    async fn look(
        &mut self,
        subject: &Subject,
        jobs: &[Acknowledged],
        is_over: bool,
    ) -> Result<(), Failure> {
        self.seen.checks += 1;
        let Some(database) = &self.database else {
            let (_, others) =
                compare::resend(&subject.address, &self.play.trace, jobs, StatusCode::OK).await?;
            self.seen.wrong.extend(others);
            return Ok(());
        };
        self.seen.wrong.extend(problems(database).await?);
        let store = Store::open(database).await?;
        for job in jobs {
            let mut snapshot = store.snapshot().await?;
            let Some(key) = snapshot.job(job.uuid).await? else {
                self.seen.wrong.push(format!("{}: is not there", job.uuid));
                continue;
            };
            let counts = snapshot.batch_counts(key.id).await?;
            let found: u64 = counts.iter().map(|(_, count)| count).sum();
            let is_good = match is_over {
                true => counts == [(job.stream, job.batches.into())],
                false => {
                    found >= job.batches.into()
                        && counts.iter().all(|(stream, _)| *stream == job.stream)
                }
            };
            if !is_good || (job.is_ended && key.end_body.is_none()) {
                let what = format!(
                    "{}: {} acknowledged, there {counts:?}",
                    job.uuid, job.batches
                );
                self.seen.wrong.push(what);
            }
        }
        store.close().await;
        Ok(())
    }

    /// A database whose first start is broken off must be there after the next.
    async fn birth(&mut self, rng: &mut Rng) -> Result<(), Failure> {
        let folder = self.args.folder.join("birth");
        fs::create_dir_all(&folder)?;
        let database = format!("sqlite://{}", folder.join("highwater.db").display());
        let settings = folder.join("highwater.toml");
        fs::write(&settings, "")?;
        let mut born = Subject::server(
            &self.args.server,
            &free_address()?,
            &database,
            &settings,
            self.args.folder.join("birth.log"),
        );
        born.start()?;
        tokio::time::sleep(Duration::from_micros(rng.u64(0..100_000))).await;
        born.kill()?;
        born.start()?;
        born.ready(Instant::now()).await?;
        self.seen.wrong.extend(problems(&database).await?);
        born.kill()?;
        fs::remove_dir_all(&folder)?;
        self.seen.births += 1;
        Ok(())
    }

    /// Compares everything with a server that was left alone, and tells.
    async fn last(&mut self, subject: &mut Subject) -> Result<(), Failure> {
        let jobs = self.play.ledger.jobs();
        self.look(subject, &jobs, true).await?;
        let trace = Arc::clone(&self.play.trace);
        let (again, others) =
            compare::resend(&subject.address, &trace, &jobs, StatusCode::OK).await?;
        self.seen.wrong.extend(others);
        let undisturbed = self.args.folder.join("undisturbed.db");
        let settings = self.args.folder.join("undisturbed.toml");
        fs::write(&settings, "")?;
        let mut other = Subject::server(
            &self.args.server,
            &free_address()?,
            &format!("sqlite://{}", undisturbed.display()),
            &settings,
            self.args.folder.join("undisturbed.log"),
        );
        other.start()?;
        other.ready(Instant::now()).await?;
        let (_, others) =
            compare::resend(&other.address, &trace, &jobs, StatusCode::CREATED).await?;
        self.seen.wrong.extend(others);
        let (mut one, mut two) = (Client::new(&subject.address), Client::new(&other.address));
        for job in jobs.iter().filter(|job| job.is_ended) {
            let found = compare::differences(&mut one, &mut two, job).await?;
            self.seen.wrong.extend(found);
        }
        if let (Some(old), Some(database)) = (&self.old, &self.database) {
            let wrong = old.check(&mut one, database).await?;
            self.seen.wrong.extend(wrong);
            self.seen.wrong.extend(problems(database).await?);
        }
        self.tell(&jobs, again)
    }

    fn tell(&mut self, jobs: &[Acknowledged], again: u64) -> Result<(), Failure> {
        let seen = &mut self.seen;
        for (moment, rounds) in &seen.killed {
            println!("killed {:<36} {rounds:>6}", moment.as_str());
        }
        if self.database.is_some() {
            println!(
                "killed in the first start of a new database  {:>6}",
                seen.births
            );
        }
        let batches: u64 = jobs.iter().map(|job| u64::from(job.batches)).sum();
        let ended = jobs.iter().filter(|job| job.is_ended).count();
        println!(
            "acknowledged: {} jobs, {batches} batches, {ended} ends",
            jobs.len()
        );
        println!("sent again at the end and answered \"was there\": {again}");
        let (refused, broken) = self.play.tally.tried_again();
        println!("tried again meanwhile: connections broken {broken}, refused {refused:?}");
        println!("finalised, and as on a server that was left alone: {ended} jobs compared");
        if let Some(old) = &self.old {
            println!(
                "removed by retention meanwhile: samples of {} jobs",
                old.gone()
            );
        }
        let looks = seen.checks + seen.births;
        match self.database {
            Some(_) => println!("integrity_check and foreign_key_check: {looks} times"),
            None => println!("sent again after a boot, what was new since: {looks} times"),
        }
        seen.starts_ms.sort_unstable();
        let at = |n: usize| seen.starts_ms.get(n).copied().unwrap_or(0);
        let last = seen.starts_ms.len().saturating_sub(1);
        println!(
            "from start to /readyz, ms: min {}, median {}, max {} of {}",
            at(0),
            at(last / 2),
            at(last),
            last + 1
        );
        match seen.wrong.as_slice() {
            [] => {
                println!("not there, there twice, or not as it was: 0");
                Ok(())
            }
            wrong => Err(format!("{} wrong: {}", wrong.len(), wrong.join("\n")).into()),
        }
    }
}

/// An address of this machine that nobody else has now; the server comes back to it after each kill.
fn free_address() -> Result<String, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
