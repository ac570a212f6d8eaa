//! Rate and bytes of the server beside VictoriaMetrics: the same real recording into both, in one run.

mod victoria;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::Options;
use crate::{
    load::recording,
    server::Server,
    tools::{Done, build, example, io, said, target},
};

/// Less says little about how well columns are packed.
const LEAST_SAMPLES: u64 = 100_000;
/// Tables that hold the samples; VictoriaMetrics has nothing of the others.
const TABLES: [&str; 2] = ["page", "series"];

pub(super) fn store(options: &Options) -> Done {
    let program = victoria::program()?;
    let binaries = build(true)?;
    let example = example("store", true)?;
    let data = target().join("bench-store");
    fs::create_dir_all(&data).map_err(io(&data))?;
    let mut bench = Bench {
        spool: recording(&binaries, &data.join("trace"), "4ms", &["networkx"])?,
        example,
        data,
        options,
    };
    let highwater = bench.highwater(&binaries, false)?;
    let alone = bench.highwater(&binaries, true)?;
    let per_job = |figure: &str| number(&highwater["sent"][figure]);
    let samples = per_job("samples_of_a_job");
    if samples < LEAST_SAMPLES as f64 {
        return Err(said(format!(
            "the recording in {} has {samples} samples, and {LEAST_SAMPLES} are wanted",
            bench.spool.display()
        )));
    }
    println!(
        "{} jobs on {} connections; a job has {samples} samples of {} series in {} batches",
        options.jobs,
        options.connections,
        per_job("series_of_a_job"),
        per_job("batches_of_a_job"),
    );
    let victoria = bench.victoria(&program)?;
    tell(
        &highwater,
        &alone,
        &victoria,
        samples * f64::from(options.jobs),
    )?;
    let path = bench.data.join("report.json");
    let report = json!({"jobs": options.jobs, "highwater": highwater, "samples_alone": alone, "victoria": victoria});
    fs::write(&path, format!("{report:#}\n")).map_err(io(&path))?;
    println!("written to {}", path.display());
    Ok(())
}

struct Bench<'a> {
    spool: PathBuf,
    example: PathBuf,
    data: PathBuf,
    options: &'a Options,
}

impl Bench<'_> {
    /// All of the recording, or its samples alone.
    fn highwater(&mut self, binaries: &Path, samples_alone: bool) -> Done<Value> {
        let database = self.data.join("highwater.db");
        for name in ["highwater.db", "highwater.db-wal", "highwater.db-shm"] {
            let path = self.data.join(name);
            if path.exists() {
                fs::remove_file(&path).map_err(io(&path))?;
            }
        }
        let server = Server::start(binaries, &database, 0)?;
        let mut send = Command::new(&self.example);
        send.arg("highwater").arg(&server.url);
        if samples_alone {
            send.arg("--samples-alone");
        }
        let sent = self.figures(self.load(&mut send));
        // In an orderly way, so that all of it is in the file.
        drop(server);
        let mut sizes = Command::new(&self.example);
        sizes
            .arg("sizes")
            .arg(format!("sqlite://{}", database.display()));
        Ok(json!({"sent": sent?, "kept": self.figures(&mut sizes)?}))
    }

    fn victoria(&self, program: &Path) -> Done<Value> {
        let mut import = Command::new(&self.example);
        import.arg("victoria").arg("--program").arg(program);
        import.arg("--folder").arg(self.data.join("victoria"));
        self.figures(self.load(&mut import))
    }

    fn load<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.arg("--spool").arg(&self.spool);
        command.args(["--jobs", &self.options.jobs.to_string()]);
        command.args(["--connections", &self.options.connections.to_string()])
    }

    /// What the example prints.
    fn figures(&self, command: &mut Command) -> Done<Value> {
        let output = command
            .stderr(Stdio::inherit())
            .output()
            .map_err(io(&self.example))?;
        if !output.status.success() {
            return Err(said(format!("the example failed with {}", output.status)));
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| said(format!("what the example printed: {error}")))
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// What the tables of samples take, bytes; an error where not all samples are there.
fn bytes_of(highwater: &Value, samples: f64) -> Done<f64> {
    let kept = &highwater["kept"];
    if number(&kept["samples"]) != samples {
        let found = &kept["samples"];
        return Err(said(format!(
            "the database has {found} samples of {samples}"
        )));
    }
    let of_samples = tables(kept)
        .iter()
        .filter(|table| TABLES.iter().any(|name| table["name"] == *name));
    Ok(of_samples.map(|table| number(&table["bytes"])).sum())
}

fn tables(kept: &Value) -> &[Value] {
    kept["tables"].as_array().map_or(&[], Vec::as_slice)
}

fn tell(highwater: &Value, alone: &Value, victoria: &Value, samples: f64) -> Done {
    let (sent, kept) = (&highwater["sent"], &highwater["kept"]);
    let bytes = bytes_of(highwater, samples)?;
    let alone_bytes = bytes_of(alone, samples)?;
    let alone_s = number(&alone["sent"]["seconds"]);
    let own_s = number(&sent["seconds"]);
    let fastest = ["native", "json"]
        .into_iter()
        .map(|way| (way, &victoria[way]))
        .min_by(|a, b| number(&a.1["seconds"]).total_cmp(&number(&b.1["seconds"])));
    let (way, fastest) = fastest.ok_or_else(|| said("VictoriaMetrics was not measured"))?;
    let other_s = number(&fastest["seconds"]);
    let other_bytes = number(&fastest["data"]) + number(&fastest["index"]);
    let row = |name: &str, seconds: f64, bytes: f64| {
        println!(
            "{name:28} {samples:>12.0} {seconds:>9.1} {:>12.0} {:>8.3}",
            samples / seconds,
            bytes / samples
        );
    };
    println!(
        "{:28} {:>12} {:>9} {:>12} {:>8}",
        "", "samples", "seconds", "a second", "bytes"
    );
    row("Highwater", own_s, bytes);
    row("Highwater, samples alone", alone_s, alone_bytes);
    for way in ["native", "json"] {
        let figures = &victoria[way];
        let bytes = number(&figures["data"]) + number(&figures["index"]);
        row(
            &format!("VictoriaMetrics, {way}"),
            number(&figures["seconds"]),
            bytes,
        );
    }
    for (what, seconds, bytes) in [
        ("", own_s, bytes),
        (", samples alone", alone_s, alone_bytes),
    ] {
        println!(
            "{:28} {:>12} {:>9} {:>12.2} {:>8.2}",
            format!("ratio to {way}{what}"),
            "",
            "",
            other_s / seconds,
            bytes / other_bytes
        );
    }
    println!(
        "Highwater: all acknowledged after {:.1} s; {} requests refused and sent again",
        number(&sent["acknowledged_s"]),
        sent["refused"]
    );
    println!("bytes a sample of Highwater's tables with their indexes (of them empty):");
    for table in tables(kept)
        .iter()
        .filter(|table| number(&table["bytes"]) > samples / 1000.0)
    {
        let (bytes, unused) = (number(&table["bytes"]), number(&table["unused"]));
        println!(
            "  {:26} {:.3} ({:.3})",
            table["name"].as_str().unwrap_or(""),
            bytes / samples,
            unused / samples
        );
    }
    println!(
        "  {:26} {:.3}",
        "the whole file",
        number(&kept["file"]) / samples
    );
    println!("bytes a sample of what the pages of columns hold (pages a job):");
    let jobs = number(&kept["jobs"]);
    for kind in kept["pages"].as_array().map_or(&[][..], Vec::as_slice) {
        println!(
            "  {:26} {:.3} ({:.0})",
            kind["kind"].as_str().unwrap_or(""),
            number(&kind["bytes"]) / samples,
            number(&kind["pages"]) / jobs
        );
    }
    println!(
        "bytes a sample of VictoriaMetrics ({way}): data {:.3}, index {:.3}; by its own count: {}",
        number(&fastest["data"]) / samples,
        number(&fastest["index"]) / samples,
        fastest["own"]
    );
    Ok(())
}
