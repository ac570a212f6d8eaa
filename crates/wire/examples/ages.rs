//! Prints how old each sample of the grid was when its batch arrived, µs, a line each. Reads lines from standard input: `job` and the body of
//! a job as the store keeps it (not compressed), then arrivals in µs since 1970 with the body of a batch, both bodies in hexadecimal digits.

use std::{error::Error, io::stdin};

use highwater_wire::{
    codec::{decode, decode_plain},
    v1::{Batch, Job},
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut started_unix_us = 0;
    for line in stdin().lines() {
        let line = line?;
        let (when, body) = line.split_once(' ').ok_or("a line has two words")?;
        let body = bytes(body)?;
        if when == "job" {
            started_unix_us = decode_plain::<Job>(&body)?.started_unix_us;
            continue;
        }
        let arrived_us = when.parse::<i64>()? - started_unix_us;
        let batch: Batch = decode(&body)?;
        let grids = batch.samples.iter();
        for samples in grids.filter(|samples| !samples.lateness_us.is_empty()) {
            let mut t_us = 0;
            for delta in &samples.t_us_delta {
                t_us += delta;
                println!("{}", arrived_us - t_us);
            }
        }
    }
    Ok(())
}

fn bytes(hex: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let pairs = hex.as_bytes().chunks(2).map(std::str::from_utf8);
    pairs
        .map(|pair| Ok(u8::from_str_radix(pair?, 16)?))
        .collect()
}
